"""Seal and open at 4 KiB against AES-256-GCM of the same library, by the crypto crate's example."""

import re

from .causeway import EXAMPLES
from .processes import BenchError, run
from .report import Row
from .stats import median

NAME = "seals"
SIZE = 4096
LINE = re.compile(
    rf"^\s*{SIZE}\s.*?([\d.]+) %\s+\(ns: ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+)\)", re.M)


def measure(bench):
    seals, raw = [], []
    for _ in bench.rounds("seal and open"):
        found = LINE.search(run([EXAMPLES / "seal_speed"], limit=300))
        if not found:
            raise BenchError("the example `seal_speed` of crates/crypto printed no line for 4,096 bytes")
        encrypt, seal, decrypt, open_ = (float(found[at]) for at in range(2, 6))
        seals.append((seal + open_) / 1e3)
        raw.append((encrypt + decrypt) / 1e3)
    share = median(raw) / median(seals)
    return [
        Row("seal and open 4 KiB", "µs", seals, limit=raw, target="≥ 70 % of the limit",
            met=[share >= 0.7], smaller=True),
    ]
