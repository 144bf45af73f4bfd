"""Idle memory, and the time from start to first answer: a fresh server of each in every round."""

import time

from .causeway import Causeway
from .n8n import N8n
from .processes import BenchError, children, rss_mib
from .report import Row
from .stats import median

NAME = "idle"
# Whether n8n takes part.
PEER = True
# Memory counts as settled once it has changed by less than a hundredth within this time.
WINDOW = 10.0
LIMIT = 90.0
PAUSE = 0.25


def measure(bench):
    start, memory, tree = [], [], []
    peer_start, peer_ready, peer_memory, peer_tree = [], [], [], []
    for turn in bench.rounds("idle memory and start"):
        causeway = Causeway(bench.folder / f"idle-causeway-{turn}")
        with causeway.start() as server:
            start.append(server.await_http(f"{causeway.url}/healthz") * 1e3)
            own, all_ = settled(server.pid)
            memory.append(own)
            tree.append(all_)
        n8n = N8n(bench.folder / f"idle-n8n-{turn}")
        with n8n.start() as server:
            peer_start.append(server.await_http(f"{n8n.url}/healthz") * 1e3)
            peer_ready.append(n8n.await_ready(server) * 1e3)
            own, all_ = settled(server.pid)
            peer_memory.append(own)
            peer_tree.append(all_)
    share = median(memory) / median(peer_memory)
    return [
        Row("idle memory of the server's process", "MiB", memory, peer_memory,
            target="≤ 60 MiB and ≤ 1/8 of n8n", met=[median(memory) <= 60, share <= 1 / 8],
            smaller=True),
        Row("… with the processes below it", "MiB", tree, peer_tree, smaller=True),
        Row("start to first answer on /healthz", "ms", start, peer_start, target="≤ 300 ms",
            met=[median(start) <= 300], smaller=True),
        Row("start until triggers answer (Causeway: the same)", "ms", start, peer_ready, smaller=True),
    ]


def settled(pid):
    """The memory of a process, and of it with all below it, once it no longer changes."""
    deadline = time.monotonic() + LIMIT
    samples = []
    while True:
        now = time.monotonic()
        samples.append((now, rss_mib(pid)))
        while samples[0][0] < now - WINDOW:
            samples.pop(0)
        values = [value for _, value in samples]
        full = now - samples[0][0] > WINDOW - 2 * PAUSE
        if full and max(values) - min(values) <= max(values) / 100:
            own = values[-1]
            return own, own + sum(rss_mib(child) for child in children(pid))
        if now > deadline:
            raise BenchError(f"the memory of process {pid} has not settled within {LIMIT} s")
        time.sleep(PAUSE)
