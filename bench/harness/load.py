"""Load by wrk."""

import json
from dataclasses import dataclass

from .paths import BENCH
from .processes import BenchError, run

CONNECTIONS = 16


@dataclass
class Load:
    """What one round of wrk measured."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def post(url, seconds):
    """Posts events for some seconds over 16 connections, each waiting for its answer."""
    return _wrk("post.lua", url, seconds)


def get(url, seconds, header=None):
    """Reads for some seconds over 16 connections, each waiting for its answer."""
    return _wrk("get.lua", url, seconds, *([header] if header else []))


def _wrk(script, url, seconds, *arguments):
    output = run(
        ["wrk", "--threads", "1", "--connections", CONNECTIONS, "--duration", f"{seconds}s",
         "--timeout", "30s", "--script", BENCH / "load" / script, url, "--", *arguments],
        limit=seconds + 60,
    )
    line = next(line for line in output.splitlines() if line.startswith("FIGURES "))
    figures = json.loads(line.removeprefix("FIGURES "))
    if figures["bad_status"] or figures["broken"]:
        raise BenchError(
            f"{figures['bad_status']} of {figures['requests']} requests to {url} were refused and "
            f"{figures['broken']} broke: these figures would measure refusals"
        )
    return Load(
        requests=figures["requests"],
        per_second=figures["requests"] / figures["seconds"],
        p50_ms=figures["p50_ms"],
        p99_ms=figures["p99_ms"],
        max_ms=figures["max_ms"],
    )
