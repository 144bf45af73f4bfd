"""Calls to an app through the proxy, with a connection's credential, beside nginx that passes the same
calls on with a fixed header; and a gigabyte each way.

The app is nginx, too, and answers only calls that carry the key. Causeway opens the sealed credential
for each call, checks the key of the caller and the target, and counts; nginx adds a line of text.
"""

import re
import socket
import threading
import time

from . import load
from .app import start_nginx, write_row
from .causeway import Causeway
from .processes import free_port, rss_mib, run
from .report import Row
from .stats import median

NAME = "proxy"
# Whether n8n takes part.
PEER = False
SECONDS = 6
QUICK_SECONDS = 2
GIGABYTE = 1 << 30
QUICK_LARGE = 64 << 20


class World:
    """nginx as the app and as the limit, and a Causeway that knows the app."""

    def __init__(self, folder, large, cleanup):
        folder.mkdir()
        ports = {name: free_port() for name in ("app", "proxy")}
        with (folder / "large").open("wb") as file:
            file.truncate(large)
        nginx = start_nginx(folder, "nginx.conf", cleanup, **ports)
        nginx.await_http(f"http://127.0.0.1:{ports['proxy']}/small")
        sink = cleanup.enter_context(Sink())
        apps = write_row(folder, "bench", f"http://127.0.0.1:{ports['app']}", [ports["app"], sink.port])
        self.causeway = Causeway(folder / "causeway")
        self.server = cleanup.enter_context(self.causeway.start(
            "--apps-dir", apps, "--net-allow",
            f"127.0.0.1/32:{ports['app']},127.0.0.1/32:{sink.port}",
            *[word for scope in ("key", "workspace", "address")
              for word in (f"--rate-limit-{scope}", "0")]))
        self.server.await_http(f"{self.causeway.url}/healthz")
        key = self.causeway.env["CAUSEWAY_API_KEY"]
        self.header = f"authorization: Bearer {key}"
        self.causeway.connect("bench", {"api_key": "bench-key"})
        self.ours = f"{self.causeway.url}/api/v1/proxy/bench"
        self.limit = f"http://127.0.0.1:{ports['proxy']}"
        self.sink = f"causeway-proxy-url: http://127.0.0.1:{sink.port}/"


class Sink:
    """Reads bodies and answers after their end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with stream:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += stream.recv(65536)
                head, _, body = head.partition(b"\r\n\r\n")
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
                left, buffer = length - len(body), bytearray(1 << 20)
                while left > 0:
                    left -= stream.recv_into(buffer) or left
                stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def measure(bench):
    large = QUICK_LARGE if bench.quick else GIGABYTE
    world = World(bench.folder / "proxy", large, bench.cleanup)
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    for url, header in ((world.ours, world.header), (world.limit, None)):
        load.get(f"{url}/small", 1, header)
    ours, limit = [], []
    for _ in bench.rounds("calls through the proxy"):
        ours.append(load.get(f"{world.ours}/small", seconds, world.header))
        limit.append(load.get(f"{world.limit}/small", seconds))
    rates = [one.per_second for one in ours], [one.per_second for one in limit]
    tails = [one.p99_ms for one in ours], [one.p99_ms for one in limit]
    share = median(rates[0]) / median(rates[1])
    added = [max(0.0, mine - other) for mine, other in zip(*tails)]
    down = grown(world, ["--output", "/dev/null", f"{world.ours}/large"])
    up = grown(world, ["--upload-file", bench.folder / "proxy/large", "--request", "POST",
                       "--header", world.sink, "--output", "/dev/null", world.ours])
    mib = large >> 20
    return [
        Row("calls through the proxy", "/s", rates[0], [], rates[1], "≥ 60 % of nginx",
            [share >= 0.6]),
        Row("… their p99", "ms", tails[0], [], tails[1], smaller=True),
        Row("… p99 beyond nginx's", "ms", added, target="≤ 2 ms", met=[median(added) <= 2]),
        Row("… their p50", "ms", [one.p50_ms for one in ours], [],
            [one.p50_ms for one in limit], smaller=True),
        Row(f"memory added by {mib:,} MiB down", "MiB", [down], target="< 20 MiB", met=[down < 20]),
        Row(f"memory added by {mib:,} MiB up", "MiB", [up], target="< 20 MiB", met=[up < 20]),
    ]


def grown(world, words):
    """How far the server's memory rises while curl moves a large body, in MiB."""
    before = rss_mib(world.server.pid)
    most, done = [before], threading.Event()

    def watch():
        while not done.is_set():
            most[0] = max(most[0], rss_mib(world.server.pid))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run(["curl", "--silent", "--show-error", "--fail", "--max-time", "120",
             "--header", world.header, *words], limit=150)
    finally:
        done.set()
        watcher.join()
    return most[0] - before
