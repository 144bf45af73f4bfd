"""The table."""

from dataclasses import dataclass, field

from .stats import median, number, spread


@dataclass
class Row:
    """One line of the table: a figure of Causeway beside a peer's and a limit's."""

    what: str
    unit: str
    ours: list
    peer: list = field(default_factory=list)
    limit: list = field(default_factory=list)
    target: str = ""
    # Whether each part of the target holds; empty where there is no target.
    met: list = field(default_factory=list)
    # Whether a smaller figure is the better one.
    smaller: bool = False

    def ratio(self, others):
        """How much better Causeway's median is than the other one's."""
        if not others:
            return None
        ours, other = median(self.ours), median(others)
        return other / ours if self.smaller else ours / other

    def cells(self):
        def against(others, as_share):
            ratio = self.ratio(others)
            if ratio is None:
                return "–"
            return f"{100 * ratio:.0f} %" if as_share else f"{number(ratio)} ×"
        if not self.met:
            verdict = ""
        elif all(self.met):
            verdict = "met"
        else:
            verdict = "**missed**"
        return [
            self.what,
            spread(self.ours, self.unit),
            spread(self.peer, self.unit),
            against(self.peer, False),
            spread(self.limit, self.unit),
            against(self.limit, True),
            self.target,
            verdict,
        ]


HEAD = ["what", "Causeway", "peer", "better than the peer", "limit", "share of the limit", "target", ""]


def table(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def document(rows, facts, rounds, notes):
    """RESULTS.md."""
    named = "\n".join(f"| {name} | {value} |" for name, value in facts)
    remarks = "\n".join(f"- {note}" for note in notes)
    return f"""# Results

Written by `make bench`; `README.md` in this folder says what each line compares, and why some miss
their targets. The medians of {rounds} rounds in which all contenders took turns, with the smallest and
the largest round in brackets. They hold for this machine at this time, not as a promise: compare
ratios, and measure on your own.

{table(rows)}

{remarks}

| | |
| --- | --- |
{named}
"""
