"""Schedules: how late ten thousand of them fire that are due within a minute, and how late if all are due
at once; and what a million invocations cost that wait.

The schedules are rows of twenty workflows, written while the server is down. Their invocations wait in a
delay, so that no step runs and the machine is the schedules' own. The receipt of an event is read when its
batch begins, so its commit is some tens of milliseconds later; the invocation begins after that.
"""

import sqlite3
import time

from .causeway import Causeway
from .postgres import Postgres
from .processes import BenchError, rss_mib, run, wait_until
from .report import Row
from .stats import percentile

NAME = "schedules"
# Whether n8n takes part.
PEER = False
# The workflows that the schedules belong to.
WORKFLOWS = 20
MINUTE = 60_000_000
# Seconds that it takes at most to write the schedules and to start the server.
AHEAD = 15
# Seconds after a minute's end by which everything of it has fired, or is lost.
PATIENCE = 30
STEPS = "steps: [{ name: pause, delay: 365d }, { name: a, run: ./a.mjs }]\n"


def measure(bench):
    count = 400 if bench.quick else 10_000
    rows = []
    for kind in ("SQLite", "PostgreSQL"):
        for spread, what in ((True, "due within a minute"), (False, "due at once")):
            bench.note_load()
            bench.say(f"schedules: {count:,} {what}, on {kind}")
            folder = bench.folder / f"schedules-{kind}-{spread}"
            folder.mkdir(mode=0o755)
            stored, begun = lateness(folder, kind, count, spread)
            target = {"target": "≤ 1,000 ms", "met": [percentile(begun, 0.99) <= 1e6]} if spread else {}
            rows += [
                Row(f"{count:,} schedules {what}, {kind}: until the event is stored, p50", "ms",
                    [percentile(stored, 0.5) / 1e3], smaller=True),
                Row("… p99", "ms", [percentile(stored, 0.99) / 1e3], smaller=True),
                Row("… until its invocation begins, p50", "ms", [percentile(begun, 0.5) / 1e3], smaller=True),
                Row("… p99", "ms", [percentile(begun, 0.99) / 1e3], smaller=True, **target),
            ]
    return rows + waiting(bench, 10_000 if bench.quick else 1_000_000)


def lateness(folder, kind, count, spread):
    """How late each schedule of one minute stores its event, and begins its invocation, in microseconds,
    both sorted."""
    with Database(folder, kind) as database:
        causeway = Causeway(folder / "causeway", database.url)
        database.file = causeway.database
        with causeway.start() as server:
            server.await_http(f"{causeway.url}/healthz")
            for number in range(WORKFLOWS):
                deploy(causeway, folder, number)
        # The first whole minute for which there is time to write the rows and to start.
        first = (int(time.time() + AHEAD) * 1_000_000 // MINUTE + 1) * MINUTE
        database.run(copies(database, count, spread, first))
        with causeway.start() as server:
            server.await_http(f"{causeway.url}/healthz")
            time.sleep((first + MINUTE) / 1e6 - time.time() + PATIENCE)
            stored, begun = [], []
            query = ("SELECT e.trigger_name, e.received_at_us, i.started_at_us FROM event e "
                     f"JOIN invocation i ON i.event_id = e.id WHERE e.received_at_us >= {first} "
                     "AND i.started_at_us IS NOT NULL")
            for name, received, started in database.rows(query):
                # A schedule's name ends with its second.
                second = int(name.rsplit("-", 1)[1]) * 1_000_000
                behind = (int(received) - second) % MINUTE
                due = int(received) - behind
                if first <= due < first + MINUTE:
                    stored.append(behind)
                    begun.append(int(started) - due)
    if len(begun) != count:
        raise BenchError(f"{len(begun):,} of {count:,} schedules fired in a minute and have begun")
    return sorted(stored), sorted(begun)


def deploy(causeway, folder, number):
    """A workflow with a schedule that does not fire while it is measured."""
    home = folder / f"workflow-{number}"
    home.mkdir()
    (home / "workflow.yaml").write_text(
        f"name: w{number}\ntrigger: {{ schedule: {{ every: 365d }} }}\n{STEPS}")
    (home / "a.mjs").write_text("export default () => 1;\n")
    causeway.deploy(home)


def copies(database, count, spread, first):
    """The text that writes so many schedules for the minute that begins at `first`."""
    seeds = [row[0] for row in database.rows("SELECT id FROM schedule")]
    lines = ["BEGIN;"]
    for number in range(count):
        second = number % 60 if spread else 0
        lines.append(
            "INSERT INTO schedule (id, workspace_id, project_id, environment_id, workflow_id, name, cron, "
            "timezone, catch_up, next_at_us, created_at_us) "
            f"SELECT 'trg_{number:026}', workspace_id, project_id, environment_id, workflow_id, "
            f"'s{number}-{second}', '{second} * * * * *', timezone, catch_up, {first + second * 1_000_000}, "
            f"created_at_us FROM schedule WHERE id = '{seeds[number % len(seeds)]}';")
    return "\n".join([*lines, "COMMIT;"])


class Database:
    """A database of one kind, and what it holds."""

    def __init__(self, folder, kind):
        self.postgres = Postgres(folder / "postgres") if kind == "PostgreSQL" else None
        self.url = self.postgres.url if self.postgres else None
        self.file = None

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        if self.postgres:
            self.postgres.stop()

    def run(self, script):
        """Runs statements."""
        if self.postgres:
            file = self.postgres.folder.parent / "statements.sql"
            file.write_text(script)
            run([self.postgres.programs / "psql", self.url, "-qv", "ON_ERROR_STOP=1", "-f", file], limit=300)
            return
        database = sqlite3.connect(self.file, timeout=30)
        database.executescript(script)
        database.close()

    def rows(self, query):
        if self.postgres:
            text = run([self.postgres.programs / "psql", self.url, "-Atc", query], limit=300)
            return [line.split("|") for line in text.splitlines()]
        database = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()


def waiting(bench, count):
    """The memory of a server while so many invocations wait, and what it takes to wake them."""
    bench.say(f"schedules: {count:,} invocations that wait")
    woken = min(10_000, count)
    causeway = Causeway(bench.folder / "waiting")
    home = bench.folder / "waiting-workflow"
    home.mkdir()
    (home / "workflow.yaml").write_text(f"name: waits\ntrigger: {{ http: {{ auth: none }} }}\n{STEPS}")
    (home / "a.mjs").write_text("export default () => 1;\n")
    with causeway.start() as server:
        server.await_http(f"{causeway.url}/healthz")
        run(["curl", "-sf", "-X", "POST", causeway.deploy(home)])
        time.sleep(2)
    with causeway.start() as server:
        server.await_http(f"{causeway.url}/healthz")
        time.sleep(5)
        alone = rss_mib(server.pid)
    database = sqlite3.connect(causeway.database, timeout=30)
    copied = [name for _, name, *_ in database.execute("PRAGMA table_info(invocation)")]
    values = ", ".join("printf('inv_%026d', n)" if name == "id" else name for name in copied)
    with database:
        database.execute(
            f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
            f"INSERT INTO invocation ({', '.join(copied)}) SELECT {values} FROM invocation, numbers "
            "WHERE state = 'waiting'")
    with causeway.start() as server:
        server.await_http(f"{causeway.url}/healthz")
        time.sleep(5)
        beside = rss_mib(server.pid)
        due = int(time.time() * 1e6) + 3_000_000
        with database:
            database.execute(
                f"UPDATE invocation SET wake_at_us = {due} WHERE id <= printf('inv_%026d', {woken})")
        left = f"SELECT count(*) FROM invocation WHERE state = 'waiting' AND wake_at_us <= {due}"
        when = wait_until(
            "everything is awake", lambda: not database.execute(left).fetchone()[0] and time.time(), 120)
    database.close()
    return [
        Row(f"memory of the server beside {count:,} invocations that wait (peer: without)", "MiB", [beside],
            [alone], smaller=True),
        Row(f"waking {woken:,} of them, each", "µs", [(when * 1e6 - due) / woken], smaller=True),
    ]
