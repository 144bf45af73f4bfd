"""Causeway, with the workflows of the benchmarks."""

import json
import os
import re
import shutil
import sqlite3
import time
from pathlib import Path

from .paths import BENCH, CAUSEWAY, NODE, ROOT
from .processes import BenchError, Server, free_port, http, run, wait_until

EXAMPLES = ROOT / "target/release/examples"


def build():
    """Builds the released binary and the measuring programs of the crates."""
    for words in (
        ["-p", "causeway"],
        ["-p", "causeway-sandbox", "--example", "measure"],
        ["-p", "causeway-crypto", "--example", "seal_speed"],
        ["-p", "causeway-identity", "--example", "key_checks"],
    ):
        run(["cargo", "build", "--release", "--locked", *words], cwd=ROOT, limit=3600, quiet=False)


class Causeway:
    """A bootstrapped data folder and how to serve it."""

    def __init__(self, folder, database_url=None):
        if not CAUSEWAY.exists():
            raise BenchError(f"{CAUSEWAY} is missing: run `make build`, or leave out --no-build")
        self.folder = Path(folder)
        self.database_url = database_url
        (self.folder / "key").mkdir(parents=True)
        self.port = free_port()
        self.database = self.folder / "data/causeway.db"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CAUSEWAY_")}
        self.env["RUST_LOG"] = "warn"
        keys = json.loads(run([CAUSEWAY, "bootstrap", *self.place(), "--json"], env=self.env))
        self.env |= {"CAUSEWAY_URL": self.url, "CAUSEWAY_API_KEY": keys["api_key"]}

    def place(self):
        place = ["--data-dir", self.folder / "data", "--root-key", f"file:{self.folder}/key/root.key",
                 "--node", NODE]
        return place + (["--database-url", self.database_url] if self.database_url else [])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, *more):
        """Starts the server; it may not listen yet."""
        command = [CAUSEWAY, "serve", *self.place(), "--listen", f"127.0.0.1:{self.port}", *more]
        return Server("causeway", command, self.folder / "causeway.log", self.env)

    def connect(self, app, fields):
        """Connects an account by its key; the connection is named like the app."""
        body = {"customer": "acme", "app": app, "name": app, "scheme": "api_key", "fields": fields}
        status, answer = http(
            f"{self.url}/api/v1/connections", json.dumps(body).encode(),
            {"content-type": "application/json",
             "authorization": f"Bearer {self.env['CAUSEWAY_API_KEY']}"})
        if status not in (200, 201):
            raise BenchError(f"making the connection answers {status}: {answer[:300]!r}")

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

    def sandboxes(self):
        """How many sandboxes there are: live, and of these idle and spare."""
        text = http(f"{self.url}/metrics")[1].decode()
        found = re.findall(r'^causeway_sandboxes\{state="(\w+)",[^}]*\} (\d+)', text, re.M)
        sums = {}
        for state, count in found:
            sums[state] = sums.get(state, 0) + int(count)
        return sums

    def busy(self):
        """How many sandboxes are at work."""
        count = self.sandboxes()
        return count.get("live", 0) - count.get("idle", 0) - count.get("spare", 0)

    def drain(self, limit=240):
        """Waits until no invocation is open; returns how many there are in all, and when the last
        one had ended. The database is asked: it knows those, too, whose callers hung up."""
        database = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)

        def still():
            return database.execute(
                "SELECT count(*) FROM invocation WHERE state IN ('queued', 'running')"
            ).fetchone()[0] == 0

        def ended():
            now = time.monotonic()
            # Twice: what wrk sent last may be on its way to the journal.
            return now if still() and not time.sleep(0.1) and still() else None
        try:
            when = wait_until("Causeway has run all that it accepted", ended, limit, pause=0.05)
            states = dict(database.execute("SELECT state, count(*) FROM invocation GROUP BY state"))
        finally:
            database.close()
        if set(states) - {"succeeded"}:
            raise BenchError(f"not every invocation succeeded: {states}")
        return states.get("succeeded", 0), when
