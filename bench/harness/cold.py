"""The cold start of a version: from its first event to the end of its one step.

Two ways: the sandbox crate's own example measures checkout to end, over a started spare sandbox and
without one, beside bare Node. And through a whole server: the first event of a version that was
deployed a moment ago, over the pool as it is shipped.

Besides, the same example's figures of the tier `gvisor` where `runsc` is installed, and the memory of 200
idle warm sandboxes.
"""

import json
import re
import shutil
from datetime import datetime

from .causeway import EXAMPLES
from .processes import BenchError, http, run, wait_until
from .report import Row
from .stats import median

NAME = "cold"
# Whether n8n takes part.
PEER = False
DEPLOYS = 12
QUICK_DEPLOYS = 3
# Rust's way to write a duration.
# Idle warm sandboxes whose memory is measured.
IDLE = 200
QUICK_IDLE = 20
DURATION = re.compile(r"median\s+([\d.]+)(ns|µs|ms|s)\b")
MILLISECONDS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
ENDED = ("succeeded", "failed", "canceled", "dead")


def measure(bench):
    bare, without, pooled, warm, through = [], [], [], [], []
    guest = {"cold start over the pool": [], "cold start without the pool": [], "warm call": []}
    causeway = bench.causeway()
    for turn in bench.rounds("cold starts"):
        lines = run([EXAMPLES / "measure"], limit=300).splitlines()
        bare.append(figure(lines, "bare node"))
        without.append(figure(lines, "first step without spare"))
        pooled.append(figure(lines, "first step over a spare"))
        warm.append(figure(lines, "warm checkout"))
        if shutil.which("runsc"):
            lines = run([EXAMPLES / "measure", "gvisor"], limit=300).splitlines()
            for what, name in zip(guest, ("first step over a spare", "first step without spare", "warm checkout")):
                guest[what].append(figure(lines, name))
        deploys = QUICK_DEPLOYS if bench.quick else DEPLOYS
        through.append(median([first_run(bench, causeway, turn * 1000 + at) for at in range(deploys)]))

    # It does not change from round to round.
    lines = run([EXAMPLES / "measure", "jail", "idle", QUICK_IDLE if bench.quick else IDLE], limit=300).splitlines()
    share = median(without) / median(bare)
    return [
        Row("cold start over the pool", "ms", pooled, limit=bare, target="≤ 15 ms",
            met=[median(pooled) <= 15], smaller=True),
        Row("cold start without the pool", "ms", without, limit=bare, target="≤ 1.3 × bare Node",
            met=[share <= 1.3], smaller=True),
        Row("first event of a new version to its end, through the server", "ms", through, limit=bare,
            target="≤ 15 ms", met=[median(through) <= 15], smaller=True),
        Row("warm call: checkout, step, give back", "ms", warm, target="≤ 1 ms", met=[median(warm) <= 1],
            smaller=True),
        *(Row(f"gVisor: {what}", "ms", figures, limit=bare if "cold" in what else [], smaller=True)
          for what, figures in guest.items() if figures),
        Row("memory of an idle warm sandbox, its share; limit: a bare Node's", "MiB",
            [mebibytes(lines, "proportional share of a sandbox")],
            limit=[mebibytes(lines, "proportional share of a bare Node")], smaller=True),
        Row("… what its cgroup is charged", "MiB", [mebibytes(lines, "charged to the cgroup")], smaller=True),
    ]


def mebibytes(lines, name):
    """The amount of memory that stands in the line with this name."""
    for line in lines:
        if line.startswith(name):
            return float(line.split()[-2])
    raise BenchError(f"the example `measure` of crates/sandbox printed no line `{name}`")


def figure(lines, name):
    """The median in milliseconds that stands in the line with this name."""
    for line in lines:
        found = DURATION.search(line)
        if line.startswith(name) and found:
            return float(found[1]) * MILLISECONDS[found[2]]
    raise BenchError(f"the example `measure` of crates/sandbox printed no line `{name}`")


def first_run(bench, causeway, constant):
    """Deploys a new version, posts one event; milliseconds from its receipt to its end."""
    url = causeway.deploy_changed("cold", bench.folder, constant)
    wait_until("a spare sandbox is ready", lambda: causeway.sandboxes().get("spare", 0) > 0, 20)
    status, body = http(url, b'{"n":1}', {"content-type": "application/json"})
    if status != 202:
        raise BenchError(f"the trigger answers {status}: {body[:200]!r}")
    ident = json.loads(body)["invocation_id"]

    def ended():
        found = causeway.invocation(ident)
        return found if found["state"] in ENDED else None
    found = wait_until("the invocation has ended", ended, 30)
    if found["state"] != "succeeded":
        raise BenchError(f"the invocation {ident} ended as {found['state']}: {found['error_code']}")
    created, finished = (datetime.fromisoformat(found[at]) for at in ("created_at", "finished_at"))
    return (finished - created).total_seconds() * 1e3
