"""The first that Python runs in the sandbox: see causeway_runner/serve.py."""

import sys

sys.path.insert(0, "/runner")
from causeway_runner import serve  # noqa: E402

del sys.path[0]
serve.main(sys.argv[1:])
