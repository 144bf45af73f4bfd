"""Seal and open at 4 KiB against AES-256-GCM of the same library, by the crypto crate's example."""

import re

from .causeway import EXAMPLES
from .processes import BenchError, run
from .report import Row
from .stats import median

NAME = "seals"
# Whether n8n takes part.
PEER = False
SIZE = 4096
# Nanoseconds to encrypt and decrypt: the bare cipher; with a key and a nonce made for each message;
# a seal.
PAIR = r"\s+([\d.]+)/([\d.]+)"
LINE = re.compile(rf"^\s*{SIZE}{PAIR}{PAIR}{PAIR}", re.M)


def measure(bench):
    bare, usual, seals = [], [], []
    for _ in bench.rounds("seal and open"):
        found = LINE.search(run([EXAMPLES / "seal_speed"], limit=300))
        if not found:
            raise BenchError(f"the example `seal_speed` of crates/crypto printed no line for {SIZE} bytes")
        for at, series in enumerate((bare, usual, seals)):
            series.append((float(found[2 * at + 1]) + float(found[2 * at + 2])) / 1e3)
    share = median(bare) / median(seals)
    return [
        Row("seal and open 4 KiB, limit: AES-256-GCM on a ready key", "µs", seals, limit=bare,
            target="≥ 70 % of the limit", met=[share >= 0.7], smaller=True),
        Row("… limit: AES-256-GCM with a key and a nonce made for each", "µs", seals, limit=usual,
            smaller=True),
    ]
