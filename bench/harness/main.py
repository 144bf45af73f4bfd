"""The command line, and what the benchmarks share in one run."""

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from . import acks, broker, cold, idle, keys, loops, machine, n8n, proxy, report, runs, schedules, seals, soak, storm
from .causeway import Causeway, build
from .paths import RESULTS, WORK
from .processes import BenchError

# In this order: what needs quiet memory first, what fills databases last.
BENCHMARKS = {module.NAME: module for module in (seals, keys, idle, cold, proxy, broker, storm, schedules, loops, runs, acks)}
# What measures nothing and is run on request only.
TRIALS = {soak.NAME: soak}


class Bench:
    """One run: its folder, its servers, its rounds."""

    def __init__(self, folder, options, cleanup):
        self.folder = folder
        self.quick = options.quick
        self.storm = options
        self.soak = options
        self.loads = []
        self._rounds = options.rounds
        self.cleanup = cleanup
        self._causeway = None
        self._n8n = None

    def rounds(self, what):
        """The numbers of the rounds, each announced."""
        for turn in range(self._rounds):
            self.note_load()
            self.say(f"{what}: round {turn + 1} of {self._rounds}")
            yield turn

    def note_load(self):
        self.loads.append(machine.load_average())

    @staticmethod
    def say(text):
        say(text)

    def causeway(self):
        """The Causeway that the benchmarks load, started when the first of them asks."""
        if self._causeway is None:
            self._causeway = Causeway(self.folder / "causeway")
            server = self.cleanup.enter_context(self._causeway.start())
            server.await_http(f"{self._causeway.url}/healthz")
        return self._causeway

    def n8n(self):
        """The n8n that the benchmarks load, started when the first of them asks."""
        if self._n8n is None:
            self._n8n = n8n.N8n(self.folder / "n8n")
            self._n8n.await_ready(self.cleanup.enter_context(self._n8n.start()))
        return self._n8n


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measures Causeway beside its peers and limits.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS | TRIALS, metavar="NAME",
                        help=f"one of {', '.join(BENCHMARKS | TRIALS)}; may be given several times")
    parser.add_argument("--rounds", type=int, default=5, help="how often all take turns (default 5)")
    parser.add_argument("--quick", action="store_true", help="short rounds, to try the harness itself")
    parser.add_argument("--connections", type=int, default=10_000,
                        help="connections in the refresh storm (default 10,000)")
    parser.add_argument("--callers", type=int, default=100,
                        help="callers of each of them, an even number (default 100)")
    parser.add_argument("--versions", type=int, default=1000,
                        help="versions in the soak (default 1,000)")
    parser.add_argument("--minutes", type=float, default=10,
                        help="how long the soak goes on (default 10)")
    parser.add_argument("--no-build", action="store_true", help="measure target/release, or $CAUSEWAY_BINARY, as it is")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = options.only or list(BENCHMARKS)
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
    try:
        if not options.no_build:
            build()
        modules = BENCHMARKS | TRIALS
        if any(modules[name].PEER for name in chosen):
            n8n.install()
        with ExitStack() as cleanup:
            # Before the measurements: sources may change while they run.
            facts = machine.facts()
            bench = Bench(folder, options, cleanup)
            rows = [row for name, module in modules.items() if name in chosen
                    for row in module.measure(bench)]
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        print(f"bench: the logs are in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    print(report.table(rows))
    is_whole = (options.connections, options.callers) == (10_000, 100)
    if set(chosen) >= set(BENCHMARKS) and is_whole and not options.quick:
        write(rows, facts, options.rounds, bench.loads)
    return 0


def write(rows, facts, rounds, loads):
    facts.insert(5, ("n8n", n8n.version()))
    note = (
        f"Load average of the machine before the rounds: {min(loads):.1f} to {max(loads):.1f}. It "
        "includes the benchmarks' own load; above the number of cores, others worked too."
    )
    RESULTS.write_text(report.document(rows, facts, rounds, [note]))
    say(f"wrote {RESULTS}")
