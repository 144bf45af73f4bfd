"""A loop over a hundred thousand items: how many items end in a second, and how much more memory the server
has than with a loop over a thousand. Each item is an invocation of its own with a step in a sandbox.
"""

import json
import time

from .causeway import Causeway
from .processes import BenchError, http, rss_mib
from .report import Row

NAME = "loops"
# Whether n8n takes part.
PEER = False
SMALL = 1_000
CONCURRENCY = 16
# Seconds that an item may take on average before the run is given up.
SLOWEST = 0.05
MANIFEST = """name: loop
trigger: { http: { auth: none } }
limits: { output_kib: 8192 }
steps:
  - name: each
    for_each:
      items: "{{ [...Array(event.body.count).keys()] }}"
      concurrency: %d
      steps: [{ name: double, value: "{{ steps.each.item * 2 }}" }]
""" % CONCURRENCY


def measure(bench):
    count = 2_000 if bench.quick else 100_000
    home = bench.folder / "loop"
    home.mkdir()
    (home / "workflow.yaml").write_text(MANIFEST)
    causeway = Causeway(bench.folder / "loops")
    with causeway.start() as server:
        server.await_http(f"{causeway.url}/healthz")
        trigger = causeway.deploy(home)
        bench.note_load()
        bench.say(f"loops: {SMALL:,} items, then {count:,}")
        _, few = loop(causeway, server, trigger, SMALL)
        took, many = loop(causeway, server, trigger, count)
    return [
        Row(f"a loop over {count:,} items, {CONCURRENCY} at a time", "items/s", [count / took]),
        Row(f"most memory of the server meanwhile (peer: over {SMALL:,} items)", "MiB", [many], [few],
            smaller=True),
    ]


def loop(causeway, server, trigger, count):
    """Runs a loop to its end; the seconds it took, and the most memory that the server had, in MiB."""
    began = time.monotonic()
    body = json.dumps({"count": count}).encode()
    status, answer = http(trigger, body, {"content-type": "application/json"})
    if status != 202:
        raise BenchError(f"the trigger answers {status}: {answer[:300]!r}")
    ident = json.loads(answer)["invocation_id"]
    most = 0
    while True:
        most = max(most, rss_mib(server.pid))
        shown = causeway.invocation(ident)
        if shown["state"] in ("succeeded", "failed", "canceled", "dead"):
            break
        if time.monotonic() - began > 10 + count * SLOWEST:
            raise BenchError(f"a loop over {count:,} items is {shown['state']} after {time.monotonic() - began:.0f} s")
        time.sleep(0.2)
    took = time.monotonic() - began
    results = shown["steps"][0]["return_value"] if shown["state"] == "succeeded" else None
    if results != [number * 2 for number in range(count)]:
        raise BenchError(f"a loop over {count:,} items is {shown['state']}: {shown.get('error_code')}")
    return took, most
