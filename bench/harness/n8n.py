"""n8n, the peer: installed into bench/peer, run in production mode on its own SQLite."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

from .paths import BENCH, NODE
from .processes import Server, free_port, run, wait_until

PEER = BENCH / "peer"
WORKFLOWS = ("benchack00000000", "benchrun00000000")
ANSWERS = {"ack": b"Workflow was started", "run": b'"ok":true'}
# Neither the figures nor the network need them.
OFF = (
    "N8N_DIAGNOSTICS_ENABLED", "N8N_VERSION_NOTIFICATIONS_ENABLED",
    "N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED", "N8N_TEMPLATES_ENABLED",
    "N8N_PERSONALIZATION_ENABLED", "N8N_COMMUNITY_PACKAGES_ENABLED", "N8N_HIRING_BANNER_ENABLED",
    "N8N_DYNAMIC_BANNERS_ENABLED", "N8N_LICENSE_AUTO_RENEW_ENABLED",
)


def home():
    """The folder with n8n's node_modules: N8N_HOME, or ours."""
    return Path(os.environ.get("N8N_HOME") or PEER)


def program():
    return home() / "node_modules/n8n/bin/n8n"


def version():
    return run([NODE, home() / "node_modules/n8n/bin/n8n", "--version"]).split()[-1]


def install():
    """Installs n8n from its lock file where it is missing."""
    sqlite = home() / "node_modules/sqlite3/build/Release/node_sqlite3.node"
    if program().exists() and sqlite.exists():
        return
    print("Installing n8n, the peer, into bench/peer: 2,000 packages, 5 to 15 minutes, once", flush=True)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=PEER, limit=3600, quiet=False)
    # Of all install scripts only this one is needed: it compiles the driver of n8n's database.
    # The headers are the machine's, if it has them; otherwise node-gyp fetches them.
    env = os.environ | {"npm_config_build_from_source": "true"}
    prefix = Path(shutil.which("node") or "/usr/bin/node").resolve().parent.parent
    if (prefix / "include/node/node_api.h").exists():
        env["npm_config_nodedir"] = str(prefix)
    run(["npm", "rebuild", "sqlite3", "--loglevel=error"], cwd=PEER, env=env, limit=1800, quiet=False)


class N8n:
    """One n8n with the two workflows of the benchmarks, published."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # Its JavaScript runner is a process of its own, started by the name `node`: the same
        # Node as everything else here.
        self.env = {
            "PATH": f"{NODE.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "NODE_ENV": "production",
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_HOST": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
            "N8N_LOG_LEVEL": "warn",
            **{name: "false" for name in OFF},
        }
        self.command("import:workflow", f"--input={PEER / 'workflows.json'}")
        for workflow in WORKFLOWS:
            self.command("publish:workflow", f"--id={workflow}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self, *words):
        run([NODE, program(), *words], env=self.env, limit=180)

    def start(self):
        """Starts the server; it may not listen yet."""
        return Server("n8n", [NODE, program(), "start"], self.folder / "n8n.log", self.env)

    def await_ready(self, server):
        """Waits until both workflows answer; returns the seconds since the start."""
        server.await_http(f"{self.url}/healthz")
        for name, answer in ANSWERS.items():
            # While it starts, it answers 200 with a page that says so.
            seconds = server.await_http(self.hook(name), body=b'{"n":0}', holds=answer)
        return seconds

    def hook(self, name):
        return f"{self.url}/webhook/bench-{name}"

    def drain(self, limit=240):
        """Waits until every execution has ended well; returns how many there are, and when the
        last one had ended."""
        database = sqlite3.connect(
            f"file:{self.folder}/.n8n/database.sqlite?mode=ro", uri=True, timeout=30)

        def ended():
            now = time.monotonic()
            total, succeeded = database.execute(
                "SELECT count(*), coalesce(sum(status = 'success'), 0) FROM execution_entity"
            ).fetchone()
            return (total, now) if total == succeeded else None
        try:
            return wait_until("n8n has run all that it accepted", ended, limit, pause=0.1)
        finally:
            database.close()
