#!/usr/bin/env python3
"""The limit of a step: sends events to limits/answer.mjs over pipes, one in flight.

The frames are made beforehand, so that of each round trip the driver's own part is one write and
one read: about a third of a round trip's time. Prints figures as JSON.
"""

import argparse
import json
import os
import struct
import subprocess
import time
from pathlib import Path

WARM = 5_000


def frame(number):
    """An event as Causeway makes it of the request that load/post.lua sends."""
    event = {
        "method": "POST", "path": "/", "query": {},
        "headers": {
            "content-length": "104", "content-type": "application/json", "host": "127.0.0.1:8400",
        },
        "body": {
            "n": number, "email": "ada@example.com", "name": "Ada Lovelace",
            "company": "Analytical Engines", "plan": "team",
        },
        "client_ip": "127.0.0.1", "url": "http://127.0.0.1:8400/t/00000000000000000000000000",
    }
    text = json.dumps({"event": event}, separators=(",", ":")).encode()
    return struct.pack(">I", len(text)) + text


def ask(writer, reader, frames):
    """Sends each and takes its answer; returns the seconds that each took, and the last answer."""
    times, answer = [], b""
    for one in frames:
        begin = time.perf_counter()
        os.write(writer, one)
        # An answer is shorter than PIPE_BUF and written at once, so it comes as a whole.
        answer = os.read(reader, 4096)
        times.append(time.perf_counter() - begin)
    return times, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("node", type=Path)
    parser.add_argument("--events", type=int, default=50_000)
    options = parser.parse_args()
    program = Path(__file__).resolve().parent / "answer.mjs"
    frames = [frame(number) for number in range(options.events)]
    with subprocess.Popen(
        [options.node, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        writer, reader = child.stdin.fileno(), child.stdout.fileno()
        ask(writer, reader, frames[:WARM])
        begin = time.perf_counter()
        times, answer = ask(writer, reader, frames)
        seconds = time.perf_counter() - begin
        child.stdin.close()
    if json.loads(answer[4:]) != {"ok": True, "n": options.events - 1}:
        raise SystemExit(f"the last answer is wrong: {answer!r}")
    times.sort()
    print(json.dumps({
        "per_second": len(times) / seconds,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[len(times) * 99 // 100] * 1e3,
    }))


if __name__ == "__main__":
    main()
