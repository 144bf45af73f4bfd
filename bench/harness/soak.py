"""The soak: a thousand versions, invoked at random for minutes under limits of memory, by steps that
behave and steps that do not, while versions are replaced, and a server that is killed twice meanwhile
and started again at once.

It measures nothing but what is left over. The server and everything below it are counted at rest
before it, again and again during it, after each kill, and at rest after it; what is more than it was is
a leak, and the run fails.
"""

import base64
import http.server
import json
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from . import census
from .causeway import Causeway
from .processes import BenchError, children, wait_until
from .report import Row
from .storm import Client

NAME = "soak"
# Whether n8n takes part.
PEER = False
CALLERS = 12
DEPLOYERS = 4
# Shares of the time after which the server is killed.
KILLS = (1 / 3, 2 / 3)
# How long a sandbox without work is kept, in seconds; whatever is at rest is so within some of these.
IDLE = 10
# The memory that all sandboxes may take together, in MiB: less than those that hoard would take.
MEMORY = 320
# What runs at a time, and the spare sandboxes of each kind.
CONCURRENCY = 8
SPARE = 2
# Seconds between two replacements of a version, and between two counts.
REPLACE = 2.0
COUNT = 5.0
# How long what a killed server leaves may take to be gone, in seconds.
GONE = 20.0
# Connections of the database are opened when they are first needed, and stay.
DATABASE_FILES = 24

# Each kind of workflow: its share in a hundred, the step's file and code, lines of the manifest, and
# whether it succeeds. `NUMBER` makes each version another.
KINDS = {
    "plain": (38, "step.mjs", "export default async ({ event, $ }) => { const body = [event.body, NUMBER]; "
              "await $.respond({ status: 200, body }); return body; };", "", True),
    "prints": (5, "step.mjs", "export default async ({ $ }) => { for (let i = 0; i < 300; i += 1) console.log("
               "'line', i, NUMBER); await $.respond({ status: 200, body: 'x' }); };", "", True),
    "calls": (8, "step.mjs", "export default async ({ $ }) => { const answer = await fetch('URL?n=NUMBER'); "
              "await $.respond({ status: 200, body: await answer.text() }); };", "egress: [127.0.0.1]\n", True),
    "hangs up": (4, "step.mjs", "import net from 'node:net'; import http from 'node:http'; "
                 "export default async ({ $ }) => { http.get('URL?n=NUMBER', () => {}); "
                 "await $.respond({ status: 200, body: 'left open' }); };", "egress: [127.0.0.1]\n", True),
    "hoards": (10, "step.mjs", "const kept = Buffer.alloc(60 << 20, 1); export default async ({ $ }) => { "
               "await $.respond({ status: 200, body: String(kept.length + NUMBER) }); };", "", True),
    "writes": (6, "step.mjs", "import fs from 'node:fs'; export default async ({ $ }) => { for (let i = 0; "
               "i < 20; i += 1) fs.writeFileSync(`/tmp/${Math.random()}`, Buffer.alloc(100000, NUMBER)); "
               "await $.respond({ status: 200, body: 'written' }); };", "limits: { memory_mib: 128 }\n", True),
    "throws": (5, "step.mjs", "export default () => { throw new Error('NUMBER'); };", "", False),
    "bombs": (3, "step.mjs", "export default () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, NUMBER % 250)); };",
              "limits: { memory_mib: 96 }\n", False),
    "spins": (2, "step.mjs", "export default () => { for (let i = NUMBER; ; i += 1); };",
              "limits: { wall_seconds: 1 }\n", False),
    "leaves a process": (4, "step.mjs", "import { spawn } from 'node:child_process'; export default ({ $ }) => "
                         "new Promise((ok) => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000) // NUMBER'], "
                         "{ detached: true, stdio: 'ignore' }).on('spawn', async () => { await $.respond({ status: 200, "
                         "body: 'left' }); ok(1); }).unref());", "", True),
    "dies": (2, "step.mjs", "export default () => { process.kill(process.pid, 'SIGKILL'); return NUMBER; };", "", False),
    "python": (7, "step.py", "def handler(pd):\n    pd.respond({'status': 200, 'headers': {}, 'body': 'NUMBER'})\n",
               "", True),
    "bash": (4, "step.sh", "sleep 30 & echo NUMBER > $CAUSEWAY_RESULT\n", "", None),
    "gvisor": (2, "step.mjs", "export default async ({ $ }) => { await $.respond({ status: 200, body: 'NUMBER' }); };",
               "minimum_tier: gvisor\n", True),
}


class App(http.server.BaseHTTPRequestHandler):
    """What the steps call."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


class Soak:
    """One installation, its thousand workflows and its callers."""

    def __init__(self, bench, folder, cleanup):
        self.say = bench.say
        self.cleanup = cleanup
        self.versions = bench.soak.versions
        self.seconds = bench.soak.minutes * 60
        app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
        app.daemon_threads = True
        threading.Thread(target=app.serve_forever, daemon=True).start()
        cleanup.callback(app.shutdown)
        self.app_port = app.server_address[1]
        self.causeway = Causeway(folder)
        self.data = self.causeway.folder / "data"
        self.temporary = self.causeway.folder / "tmp"
        self.temporary.mkdir()
        self.causeway.env["TMPDIR"] = str(self.temporary)
        # By number: the kind, the path of the trigger, the latest constant in its code.
        self.workflows = []
        self.answers = Counter()
        self.wrong = []
        self.failures = []
        self.replaced = 0
        self.pids = []
        self.server = None
        self.most = Counter()
        self.over = threading.Event()

    def client(self):
        return Client(self.causeway.port, self.causeway.env["CAUSEWAY_API_KEY"])

    def start(self):
        limits = [word for scope in ("key", "workspace", "address", "client", "refused")
                  for word in (f"--rate-limit-{scope}", "0")]
        self.server = self.cleanup.enter_context(self.causeway.start(
            "--net-allow", f"127.0.0.1/32:{self.app_port}", "--concurrency", CONCURRENCY,
            "--spare-sandboxes", SPARE, "--sandbox-memory-mib", MEMORY,
            "--sandbox-idle-seconds", IDLE, *limits))
        self.pids.append(self.server.pid)
        self.server.await_http(f"{self.causeway.url}/healthz")

    def deploy(self, client, number, constant):
        """Deploys a version; the path of its trigger, or None if the server was not there."""
        kind = self.kinds[number]
        _, file, code, lines, _ = KINDS[kind]
        code = code.replace("NUMBER", str(constant)).replace("URL", f"http://127.0.0.1:{self.app_port}/")
        manifest = (f"name: soak-{number}\ntrigger:\n  http: {{ auth: none, response: workflow }}\n{lines}"
                    f"steps:\n  - {{ name: step, run: ./{file} }}\n")
        files = {"workflow.yaml": manifest, file: code}
        status, _, answer = client.api("POST", "deployments", {"files": {
            path: base64.b64encode(text.encode()).decode() for path, text in files.items()}})
        if status in (0, 503):
            return None
        if status not in (200, 201):
            raise BenchError(f"deploying `{kind}` answers {status}: {answer[:300]!r}")
        return urlsplit(json.loads(answer)["trigger_url"]).path

    def deploy_all(self):
        shares = {kind: share for kind, (share, *_) in KINDS.items()}
        chooser = random.Random(1)
        self.kinds = list(KINDS) + chooser.choices(
            list(shares), list(shares.values()), k=max(0, self.versions - len(KINDS)))
        client = threading.local()

        def one(number):
            if not hasattr(client, "it"):
                client.it = self.client()
            path = self.deploy(client.it, number, number)
            if path is None:
                raise BenchError("the server was not there for a deploy")
            return path
        with ThreadPoolExecutor(DEPLOYERS) as pool:
            self.workflows = list(pool.map(one, range(len(self.kinds))))

    def invoke(self, client, number):
        """One event, and whether its answer is that of its kind."""
        kind = self.kinds[number]
        status, _, answer = client.send("POST", self.workflows[number], json.dumps({"n": number}),
                                        **{"content-type": "application/json"})
        outcome = {0: "no answer", 503: "not there"}.get(status, "ok" if status < 400 else "failed")
        self.answers[(kind, outcome)] += 1
        wanted = {True: "ok", False: "failed", None: outcome}[KINDS[kind][4]]
        if outcome in ("ok", "failed") and outcome != wanted:
            self.wrong.append(f"{kind}: {status} {answer[:200]!r}")
        return outcome

    def call(self, seed):
        """A caller: events for random workflows, one after the other."""
        chooser, client = random.Random(seed), self.client()
        while not self.over.is_set():
            if self.invoke(client, chooser.randrange(len(self.workflows))) in ("no answer", "not there"):
                self.over.wait(0.2)
        client.close()

    def replace(self):
        """Deploys new versions of random workflows."""
        chooser, client, constant = random.Random(2), self.client(), 100_000
        while not self.over.wait(REPLACE):
            constant += 1
            self.deploy(client, chooser.randrange(len(self.workflows)), constant)
        client.close()
        self.replaced = constant - 100_000

    def count(self):
        return census.take(self.server.pid, self.data, self.temporary)

    def watch(self):
        """Counts again and again, and keeps the most of each."""
        while not self.over.wait(COUNT):
            try:
                now = self.count()
            except (BenchError, OSError):
                continue  # it has just been killed
            for what, figure in now.items():
                self.most[what] = max(self.most[what], figure)

    def at_rest(self, what):
        """Waits until nothing is under way and nothing changes, and counts."""
        last = [None, 0]

        def rests():
            pool = self.causeway.sandboxes()
            if pool.get("busy", 1) or pool.get("idle", 1) or self.open_invocations():
                return None
            now = self.count()
            steady = {key: value for key, value in now.items() if "memory" not in key and "threads" not in key}
            last[1] = last[1] + 1 if steady == last[0] else 0
            last[0] = steady
            return now if last[1] >= 4 else None
        try:
            return wait_until(what, rests, 90 + IDLE * 3, pause=0.5)
        except BenchError as error:
            raise BenchError(f"{error}; sandboxes {self.causeway.sandboxes()}, {last[0]}") from error

    def open_invocations(self):
        database = sqlite3.connect(f"file:{self.causeway.database}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(
                "SELECT count(*) FROM invocation WHERE state IN ('queued', 'running')").fetchone()[0]
        finally:
            database.close()

    def warm(self):
        """Every kind once, so that all spare sandboxes are wanted and whatever is opened once is open."""
        client = self.client()
        for number in range(len(KINDS)):
            self.invoke(client, number)
        client.close()
        # And as many at a time as there will be, for the database's connections.
        def often(_):
            client = self.client()
            for _ in range(20):
                self.invoke(client, 0)
            client.close()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(often, range(CALLERS)))

    def kill(self):
        """kill -9, and a new server at once; what the old one has left after that, by kind."""
        old = self.server.pid
        below = [found for found in map(census.identity, children(old)) if found]
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(10)
        killed = time.monotonic()
        # Not `stop`: nothing of its process group is to be helped along.
        self.start()
        left = {}

        def gone():
            left["processes"] = [one for one in below if census.identity(one[0]) == one]
            left["cgroups"] = census.groups([old])
            return not any(left.values())
        try:
            wait_until("what the killed server had is gone", gone, GONE, pause=0.02)
        except BenchError:
            pass
        self.say(f"killed {old} with {len(below)} processes below it; gone after {time.monotonic() - killed:.1f} s")
        return {what: len(found) for what, found in left.items()}

    def guarded(self, work):
        """Does something beside the rest, whose failure fails the run."""
        try:
            work()
        except Exception as error:
            self.failures.append(error)

    def run(self):
        self.start()
        self.say(f"deploying {self.versions:,} versions")
        self.deploy_all()
        self.warm()
        before = self.at_rest("the server rests before the soak")
        self.wrong.clear()
        self.answers.clear()
        minutes = self.seconds / 60
        self.say(f"{CALLERS} callers for {minutes:g} minutes")
        works = [lambda seed=seed: self.call(seed) for seed in range(CALLERS)] + [self.replace, self.watch]
        threads = [threading.Thread(target=self.guarded, args=(work,)) for work in works]
        begun = time.monotonic()
        left = Counter()
        try:
            for thread in threads:
                thread.start()
            for share in KILLS:
                time.sleep(max(0, begun + self.seconds * share - time.monotonic()))
                left.update(self.kill())
            time.sleep(max(0, begun + self.seconds - time.monotonic()))
        finally:
            self.over.set()
            for thread in threads:
                if thread.ident:
                    thread.join(90)
        if self.failures:
            raise BenchError(f"a caller failed: {self.failures[0]!r}") from self.failures[0]
        # The last server has to have run every kind, for the same spare sandboxes.
        self.warm()
        after = self.at_rest("the server rests after the soak")
        last = self.server.pid
        stopped = [found for found in map(census.identity, children(last)) if found]
        self.server.stop()
        end = {
            "processes": sum(1 for one in stopped if census.identity(one[0]) == one),
            "cgroups": len(census.groups(self.pids)),
            "mounts of the machine": census.machine_mounts(),
            "files in the data folder": len(census.files(self.data)),
            "temporary files": len(census.files(self.temporary)),
        }
        return before, after, left, end


# What may be more at rest after the soak than before, and by how much.
# The pool keeps a bounded number of programs' archives in memory files.
ARCHIVES = 32
SLACK = {"server's files": DATABASE_FILES, "server's deleted files": ARCHIVES}
NOT_COMPARED = ("server's threads", "server's memory, MiB")


def leaks(before, after, left, end):
    """What is more than it was, in words."""
    found = [
        f"{what}: {before[what]} before, {after[what]} after"
        for what in before
        if what not in NOT_COMPARED and after[what] > before[what] + SLACK.get(what, 0)
    ]
    found += [f"{number} {what} outlived a kill" for what, number in left.items() if number]
    found += [f"{number} {what} outlived the last server" for what, number in end.items()
              if what in ("processes", "cgroups") and number]
    if end["mounts of the machine"] > before["mounts of the machine"]:
        found.append(f"the machine has {end['mounts of the machine']} mounts, {before['mounts of the machine']} before")
    return found


def table(before, most, after, left, end):
    lines = ["| at rest | before | most during | after | after kill -9 | after the end |",
             "| --- | --- | --- | --- | --- | --- |"]
    for what in before:
        lines.append(f"| {what} | {before[what]} | {most[what]} | {after[what]} | {left.get(what, '')} | {end.get(what, '')} |")
    return "\n".join(lines)


def measure(bench):
    """Once, whatever the number of rounds."""
    folder = bench.folder / "soak"
    folder.mkdir()
    # Within the run's own clean-up: the server is stopped with it, should anything fail.
    soak = Soak(bench, folder / "causeway", bench.cleanup)
    before, after, left, end = soak.run()
    print(table(before, soak.most, after, left, end), flush=True)
    done = Counter()
    for (kind, outcome), number in sorted(soak.answers.items()):
        done[outcome] += number
        print(f"{kind}: {outcome} {number:,}")
    if soak.wrong:
        raise BenchError(f"{len(soak.wrong)} answers were not those of their kind: {soak.wrong[:5]}")
    found = leaks(before, after, left, end)
    if found:
        raise BenchError("leaks: " + "; ".join(found))
    log = (soak.causeway.folder / "causeway.log").read_text(errors="replace")
    if "panicked" in log:
        raise BenchError(f"the server panicked: see {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    return [
        Row("soak: versions deployed, then replaced meanwhile", "", [soak.versions + soak.replaced]),
        Row("… invocations answered, by success or by the error that was to come", "", [done["ok"] + done["failed"]]),
        Row("… without an answer around two kills", "", [done["no answer"] + done["not there"]]),
        Row("… processes, mounts, cgroups, sockets and files left over", "", [0], target="0", met=[True]),
    ]
