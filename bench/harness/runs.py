"""One-step Node workflows, warm, journaled, end to end: each caller gets what the step answers.

The limit is a bare Node process that runs the same code on the same event over a pipe, without
HTTP, database, seals or sandbox.
"""

import json

from . import load
from .paths import BENCH, NODE
from .processes import BenchError, run
from .report import Row
from .stats import median

NAME = "runs"
# Whether n8n takes part.
PEER = True
SECONDS = 8
QUICK_SECONDS = 2


def measure(bench):
    causeway, n8n = bench.causeway(), bench.n8n()
    url = causeway.deploy_named("run")
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    load.post(url, 2)
    load.post(n8n.hook("run"), 2)

    ours, peer, limit = [], [], []
    for _ in bench.rounds("one-step workflows, end to end"):
        before, _ = causeway.drain()
        ours.append(load.post(url, seconds))
        # There may be more: wrk hangs up on the last ones.
        if causeway.drain()[0] - before < ours[-1].requests:
            raise BenchError("fewer invocations succeeded than requests were answered")
        peer.append(load.post(n8n.hook("run"), seconds))
        n8n.drain()
        limit.append(json.loads(run([BENCH / "limits/pipe.py", NODE])))

    rate = [one.per_second for one in ours]
    peer_rate = [one.per_second for one in peer]
    limit_rate = [one["per_second"] for one in limit]
    times, share = median(rate) / median(peer_rate), median(rate) / median(limit_rate)
    return [
        Row("one-step workflow runs, answered", "/s", rate, peer_rate, limit_rate,
            "≥ 30 × n8n and ≥ 40 % of the limit", [times >= 30, share >= 0.4]),
        Row("… their p50", "ms", [one.p50_ms for one in ours], [one.p50_ms for one in peer],
            [one["p50_ms"] for one in limit], smaller=True),
        Row("… their p99", "ms", [one.p99_ms for one in ours], [one.p99_ms for one in peer],
            [one["p99_ms"] for one in limit], smaller=True),
    ]
