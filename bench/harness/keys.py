"""Knowing who calls: the processor time of a check of a key or a token, by the identity crate's
example."""

import re

from .causeway import EXAMPLES
from .processes import BenchError, run
from .report import Row
from .stats import median

NAME = "keys"
# Whether n8n takes part.
PEER = False
# Processor time of 1,000 checks a second, in percent of a core.
TARGET = 5
LINE = re.compile(r"^(known key|unknown key|access token), (remembered|looked up)\s+([\d.]+)", re.M)


def measure(bench):
    found = {}
    for _ in bench.rounds("key checks"):
        lines = LINE.findall(run([EXAMPLES / "key_checks"], limit=300))
        if len(lines) != 6:
            raise BenchError("the example `key_checks` of crates/identity did not print its six lines")
        for what, how, micros in lines:
            found.setdefault((what, how), []).append(float(micros) / 10)
    rows = []
    for how in ("remembered", "looked up"):
        known, unknown = found["known key", how], found["unknown key", how]
        for what, ours in (("known key", known), ("unknown key", unknown), ("access token", found["access token", how])):
            row = Row(f"1,000 checks/s: {what}, {how}", "% of a core", ours, smaller=True)
            if what == "unknown key":
                row.limit, row.target = known, f"≤ {TARGET} %, and no more than a known one"
                # Two figures that are the same differ by a little in every round.
                row.met = [median(ours) <= TARGET, median(ours) <= 1.1 * median(known)]
            elif what == "known key":
                row.target, row.met = f"≤ {TARGET} %", [median(ours) <= TARGET]
            rows.append(row)
    return rows
