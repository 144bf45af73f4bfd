"""Durable acknowledgements of HTTP triggers, and the backlog that they leave.

Causeway and n8n each answer as soon as they have stored the event, and run the one step of the
workflow meanwhile, on the same two cores. The time until everything has run gives the runs per
second of a backlog. The limit is a program that only commits the same rows.
"""

import json
import time

from . import load
from .paths import BENCH
from .processes import http, run, wait_until
from .report import Row
from .stats import median

NAME = "acks"
# Whether n8n takes part.
PEER = True
SECONDS = 6
QUICK_SECONDS = 2
# As many as run at a time by default: while all of them wait in a step, no other step runs.
WORKERS = 8


def measure(bench):
    causeway, n8n = bench.causeway(), bench.n8n()
    url = causeway.deploy_named("ack")
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    load.post(url, 1)
    causeway.drain()
    load.post(n8n.hook("ack"), 2)
    n8n.drain()

    ours, pure, peer, limit = [], [], [], []
    our_backlog, peer_backlog = [], []
    for turn in bench.rounds("durable acknowledgements"):
        measured, backlog = with_backlog(causeway, url, seconds)
        ours.append(measured)
        our_backlog.append(backlog)
        pure.append(held(causeway, url, seconds))
        measured, backlog = with_backlog(n8n, n8n.hook("ack"), seconds)
        peer.append(measured)
        peer_backlog.append(backlog)
        limit.append(group_commit(causeway.database, bench.folder / f"limit-{turn}.db", seconds))

    rate = [one.per_second for one in ours]
    tail = [one.p99_ms for one in ours]
    pure_rate = [one.per_second for one in pure]
    pure_tail = [one.p99_ms for one in pure]
    peer_rate = [one.per_second for one in peer]
    peer_tail = [one.p99_ms for one in peer]
    limit_rate = [one["per_second"] for one in limit]
    times = median(rate) / median(peer_rate)
    return [
        Row("acknowledgements, steps running meanwhile", "/s", rate, peer_rate, limit_rate,
            "≥ 5,000/s and ≥ 50 × n8n", [median(rate) >= 5000, times >= 50]),
        Row("… their p99", "ms", tail, peer_tail, [one["p99_ms"] for one in limit],
            "≤ 25 ms", [median(tail) <= 25], smaller=True),
        Row("… their p50", "ms", [one.p50_ms for one in ours], [one.p50_ms for one in peer],
            [one["p50_ms"] for one in limit], smaller=True),
        Row("acknowledgements alone, steps held back", "/s", pure_rate, peer_rate, limit_rate),
        Row("… their p99", "ms", pure_tail, peer_tail, smaller=True),
        Row("runs of a backlog, journaled", "/s", our_backlog, peer_backlog),
    ]


def with_backlog(server, url, seconds):
    """Acknowledgements, and the runs per second until everything that they started has ended."""
    before, _ = server.drain()
    begin = time.monotonic()
    measured = load.post(url, seconds)
    after, end = server.drain()
    return measured, (after - before) / (end - begin)


def held(causeway, url, seconds):
    """Acknowledgements while every worker waits in a step; their invocations run afterwards."""
    body = json.dumps({"n": 0, "hold_ms": (seconds + 2) * 1000}).encode()
    for _ in range(WORKERS):
        http(url, body, {"content-type": "application/json"})
    wait_until("every worker is in a step", lambda: causeway.busy() >= WORKERS, 10)
    measured = load.post(url, seconds)
    causeway.drain()
    return measured


def group_commit(source, target, seconds):
    output = run(
        [BENCH / "limits/group_commit.py", source, target, "--group", load.CONNECTIONS,
         "--seconds", seconds],
        limit=seconds + 60,
    )
    for file in target.parent.glob(target.name + "*"):
        file.unlink()
    return json.loads(output)
