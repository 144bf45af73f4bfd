"""Calls of a step's code to a linked app, through the broker, beside the same calls through a tunnel.

Both are HTTPS over 16 kept connections, from one step each of one workflow, to nginx, which answers only
calls that carry the key. In the tunnel, TLS is the code's own, end to end, and it has the key itself. The
broker ends the TLS, reads the request, looks for placeholders, checks policy and budget, puts the key in,
sends the request over TLS of its own and searches the answer for the key.
"""

import json

from .app import start_nginx, write_row
from .causeway import Causeway
from .processes import BenchError, free_port, http, run
from .report import Row

NAME = "broker"
# Whether n8n takes part.
PEER = False
SECONDS = 6
QUICK_SECONDS = 1


def certificates(folder):
    """Makes a root and a certificate of 127.0.0.1; returns the root's path."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    root = folder / "root.pem"
    run(["openssl", "req", "-x509", *key, "-subj", "/CN=bench root", "-keyout", folder / "root.key",
         "-out", root])
    run(["openssl", "req", "-x509", *key, "-subj", "/CN=bench app", "-keyout", folder / "app.key",
         "-CA", root, "-CAkey", folder / "root.key", "-addext", "subjectAltName=IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE", "-out", folder / "app.pem"])
    return root


class World:
    """nginx as the app, and a Causeway with a connection to it and the workflow."""

    def __init__(self, folder, cleanup):
        folder.mkdir()
        port = free_port()
        root = certificates(folder)
        start_nginx(folder, "nginx-tls.conf", cleanup, app=port)
        apps = write_row(folder, "bench-broker", f"https://127.0.0.1:{port}", [port])
        causeway = Causeway(folder / "causeway")
        server = cleanup.enter_context(causeway.start(
            "--apps-dir", apps, "--net-allow", f"127.0.0.1/32:{port}",
            "--net-extra-roots", root))
        server.await_http(f"{causeway.url}/healthz")
        causeway.connect("bench-broker", {"api_key": "bench-key"})
        self.trigger = causeway.deploy_named("broker")
        self.event = {"url": f"https://127.0.0.1:{port}/small", "ca": root.read_text(),
                      "key": "bench-key"}

    def round(self, seconds):
        """The figures of both, each over so many seconds."""
        body = json.dumps(self.event | {"seconds": seconds}).encode()
        status, answer = http(self.trigger, body, {"content-type": "application/json"},
                              timeout=2 * seconds + 60)
        if status != 200:
            raise BenchError(f"the calls through the broker answer {status}: {answer[:500]!r}")
        figures = json.loads(answer)
        return figures["brokered"], figures["tunnelled"]


def measure(bench):
    world = World(bench.folder / "broker", bench.cleanup)
    world.round(1)
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    rounds = [world.round(seconds) for _ in bench.rounds("calls through the broker")]
    ours, tunnel = zip(*rounds)

    def of(figures, name):
        return [one[name] for one in figures]
    beyond = [one["p99_ms"] - other["p99_ms"] for one, other in rounds]
    return [
        Row("a step's calls through the broker", "/s", of(ours, "per_second"), [],
            of(tunnel, "per_second")),
        Row("… their p50", "ms", of(ours, "p50_ms"), [], of(tunnel, "p50_ms"), smaller=True),
        Row("… their p99", "ms", of(ours, "p99_ms"), [], of(tunnel, "p99_ms"), smaller=True),
        Row("… p99 beyond the tunnel's", "ms", beyond, smaller=True),
    ]
