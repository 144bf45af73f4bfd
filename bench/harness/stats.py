"""Figures of several rounds."""

import statistics


def median(values):
    return statistics.median(values)


def number(value):
    """A figure with about three digits: 12,345, 12.3, 1.23, 0.012. A count is written as it is."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def spread(values, unit=""):
    """`median (min–max)` of the rounds."""
    if not values:
        return "–"
    unit = f" {unit}" if unit and not unit.startswith("/") else unit
    middle = f"{number(median(values))}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))}–{number(max(values))})"


def percentile(ordered, share):
    """The value below which `share` of the sorted values lie."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
