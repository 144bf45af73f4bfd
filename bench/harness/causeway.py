"""Causeway, with the workflows of the benchmarks."""

import json
import os
import re
import shutil
from pathlib import Path

from .paths import BENCH, CAUSEWAY, NODE, ROOT
from .processes import BenchError, Server, free_port, http, run, wait_until

EXAMPLES = ROOT / "target/release/examples"


def build():
    """Builds the released binary and the two measuring programs of the crates."""
    for words in (
        ["-p", "causeway"],
        ["-p", "causeway-sandbox", "--example", "measure"],
        ["-p", "causeway-crypto", "--example", "seal_speed"],
    ):
        run(["cargo", "build", "--release", "--locked", *words], cwd=ROOT, limit=3600, quiet=False)


class Causeway:
    """A bootstrapped data folder and how to serve it."""

    def __init__(self, folder):
        if not CAUSEWAY.exists():
            raise BenchError(f"{CAUSEWAY} is missing: run `make build`, or leave out --no-build")
        self.folder = Path(folder)
        (self.folder / "key").mkdir(parents=True)
        self.port = free_port()
        self.database = self.folder / "data/causeway.db"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
        self.env["RUST_LOG"] = "warn"
        keys = json.loads(run([CAUSEWAY, "bootstrap", *self.place(), "--json"], env=self.env))
        self.env |= {"CAUSEWAY_URL": self.url, "CAUSEWAY_API_KEY": keys["api_key"]}

    def place(self):
        return ["--data-dir", self.folder / "data", "--root-key", f"file:{self.folder}/key/root.key",
                "--node", NODE]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Starts the server; it may not listen yet."""
        command = [CAUSEWAY, "serve", *self.place(), "--listen", f"127.0.0.1:{self.port}"]
        return Server("causeway", command, self.folder / "causeway.log", self.env)

    def deploy(self, folder):
        """Deploys a workflow's folder; returns its trigger's URL."""
        output = run([CAUSEWAY, "deploy", folder, "--json"], env=self.env)
        return json.loads(output.splitlines()[-1])["trigger_url"]

    def deploy_named(self, name):
        return self.deploy(BENCH / "workflows" / name)

    def deploy_changed(self, name, scratch, constant):
        """Deploys a version that never was before."""
        folder = Path(scratch) / f"{name}-{constant}"
        shutil.copytree(BENCH / "workflows" / name, folder)
        with (folder / "answer.mjs").open("a") as code:
            code.write(f"export const constant = {constant};\n")
        return self.deploy(folder)

    def invocation(self, ident):
        """An invocation as the API shows it."""
        status, body = http(
            f"{self.url}/api/v1/invocations/{ident}",
            headers={"authorization": f"Bearer {self.env['CAUSEWAY_API_KEY']}"},
        )
        if status != 200:
            raise BenchError(f"the invocation {ident} answers {status}: {body[:200]!r}")
        return json.loads(body)

    def counts(self):
        """Accepted events, and ended invocations by state, since the server's start."""
        status, body = http(f"{self.url}/metrics")
        if status != 200:
            raise BenchError(f"/metrics answers {status}")
        text = body.decode()
        accepted = re.search(r"^causeway_events_accepted_total (\d+)", text, re.M)
        ended = re.findall(r'^causeway_invocations_total\{state="(\w+)"\} (\d+)', text, re.M)
        return int(accepted[1]) if accepted else 0, {state: int(count) for state, count in ended}

    def sandboxes(self):
        """How many sandboxes there are: live, and of these idle and spare."""
        text = http(f"{self.url}/metrics")[1].decode()
        found = re.findall(r'^causeway_sandboxes\{state="(\w+)"\} (\d+)', text, re.M)
        return {state: int(count) for state, count in found}

    def busy(self):
        """How many sandboxes are at work."""
        count = self.sandboxes()
        return count.get("live", 0) - count.get("idle", 0) - count.get("spare", 0)

    def drain(self, limit=600):
        """Waits until every accepted event's invocation has ended well; returns how many."""
        def ended():
            accepted, states = self.counts()
            return accepted if accepted == sum(states.values()) else None
        total = wait_until("Causeway has run all that it accepted", ended, limit, pause=0.02)
        states = self.counts()[1]
        if states.get("succeeded") != total:
            raise BenchError(f"not every invocation succeeded: {states}")
        return total
