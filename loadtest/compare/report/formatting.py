"""Measures in words, for all reports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loadtest.compare.analysis.measures import Measure, RunMeasures, fewest_of, is_paced, of_throughput
from loadtest.compare.analysis.summary import Estimate, Summary

AT_LEAST: Final = "≥ "  # before a lower bound, where more than ASCII can be shown; ">=" elsewhere

HEADINGS: Final = {
    "requests_per_second": "requests per s",
    "response_p50_us": "response p50 ms",
    "response_p99_us": "response p99 ms",
    "response_p999_us": "response p99.9 ms",
    "service_p99_us": "service p99 ms",
    "first_p50_us": "first reply p50 ms",
    "first_p99_us": "first reply p99 ms",
    "resident_bytes": "memory MB",
    "cpu_us": "CPU µs per request",
    "turns": "context switches per request",
    "waited_us": "µs ready without a core per request",
    "threads": "threads",
    "longest_wait_us": "longest wait ms",
    "jain": "fairness (Jain)",
}
"""The measures as they are tabled."""

UNITS: Final = {name: {"ms": 1e3, "MB": 1e6}.get(heading[-2:], 1.0) for name, heading in HEADINGS.items()}
"""What of a measure's unit makes one of its heading's."""

_COUNTS: Final = frozenset({"threads"})
_REVERSE: Final = {">=": "<=", AT_LEAST: "≤ "}  # what stands before an upper bound, by what stands before a lower one
SLOWEST: Final = "*"  # behind the slowest of a few samples where there is no room to say so

OF_FEW: Final = f"{SLOWEST}: no p99 but the slowest of fewer than {fewest_of(0.99)} replies, the least that a p99 takes"
"""What the sign means."""


def number(value: float) -> str:
    """Return `value` with three significant figures, whole from 100 on, with commas at the thousands."""
    if value == 0:
        return "0"
    if value >= 100:
        digits = len(str(int(value)))
        return f"{round(value, 3 - digits):,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}"


def duration(microseconds: float) -> str:
    """Return a duration with three significant figures in the unit that suits it."""
    for unit, name in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= unit:
            return f"{microseconds / unit:.3g} {name}"
    return f"{microseconds:.3g} µs"


def between(low: float | None, high: float | None, to: str, show: Callable[[float], str]) -> str:
    """Return an interval in words, such as "1 to 2"; an end that is None is open: ">= 1". "" if both are."""
    at_least, at_most = (">= ", "<= ") if to.isascii() else ("≥ ", "≤ ")
    if low is None:
        return "" if high is None else f"{at_most}{show(high)}"
    return f"{at_least}{show(low)}" if high is None else f"{show(low)}{to}{show(high)}"


def slowest_of(measure: Measure | Estimate) -> str:
    """Return that a measure is the slowest of a few samples, in words; "" if it is what it is called."""
    return f"slowest of {measure.slowest_of:,}" if measure.slowest_of else ""


def show(measure: Measure | Estimate, unit: float = 1.0, mark: str = ">=") -> str:
    """
    Return a measure divided by `unit`, or "-".

    mark: before a lower bound; an upper one has the reverse. The slowest of a few samples has a sign with ">=", which
    is for tables in ASCII, and words elsewhere.
    """
    if measure.value is None and measure.at_most is None:
        return "-"
    few = "" if not measure.slowest_of else SLOWEST if mark == ">=" else f" ({slowest_of(measure)})"
    if measure.value is None:
        return f"{_REVERSE[mark]}{number((measure.at_most or 0.0) / unit)}{few}"
    return f"{mark if measure.at_least else ''}{number(measure.value / unit)}{few}"


def bare(each: RunMeasures | Summary, name: str, mark: str = ">=") -> str:
    """Return a measure of a run or of several, in the unit it is tabled in; in brackets if it is not the server's."""
    measure: Measure | Estimate = each[name] if isinstance(each, Summary) else getattr(each, name)
    shown = show(measure, UNITS[name], mark)
    if name in _COUNTS and measure.value is not None:
        shown = f"{measure.value:,.0f}"
    by_pauses = name == "requests_per_second" and is_paced(each.scenario)
    return f"({shown})" if shown != "-" and (by_pauses or name in of_throughput(each.scenario)) else shown


def spread(each: Summary, name: str) -> str:
    """Return a median's interval, or the runs' range, in the table's unit, with two groups if any; "" of one run."""
    estimate = each[name]
    if estimate.low is None or len(estimate.values) < 2 or (name in _COUNTS and estimate.low == estimate.high):
        return ""
    unit = UNITS[name]
    ends = between(estimate.low, estimate.high, " – ", lambda end: _tabled(name, end / unit))
    return f"{ends}; {said}" if (said := two_groups(each, name)) else ends


def two_groups(each: Summary, name: str) -> str:
    """Return the two groups that runs fall into, such as "8.90 and 10.6 in 6 and 4 runs"; "" if they don't."""
    found = each[name].groups
    if found is None:
        return ""
    low, high = (_tabled(name, value / UNITS[name]) for value in (found.low, found.high))
    return f"{low} and {high} in {found.runs[0]} and {found.runs[1]} runs"


def _tabled(name: str, value: float) -> str:
    return f"{value:,.0f}" if name in _COUNTS else number(value)


def per_cent(estimate: Estimate) -> str:
    """Return the spread in per cent of the median, such as "-2+3%", or "-2+?%" with an open end; "" of one run."""
    if not estimate.value or estimate.low is None or len(estimate.values) < 2:
        return ""
    down, up = (round(100 * abs((end or 0.0) / estimate.value - 1)) for end in (estimate.low, estimate.high))
    return f"-{min(down, 99)}+{'?' if estimate.is_open else min(up, 999)}%"


def served(each: RunMeasures | Summary) -> str:
    """Return how many of the connected clients were served."""
    some, every = each.served if isinstance(each, Summary) else (each.served, each.connected or each.workload.clients)
    return f"{some} of {every}"


def named(summary: Summary) -> str:
    """Return whose measures they are, and if some clients got nothing, of how many: no speed may hide that."""
    some, every = summary.served
    return summary.candidate.label if some == every else f"{summary.candidate.label} [served {some} of {every}]"


def brief(each: RunMeasures) -> str:
    """Return a run in a few words, for the progress line."""
    said = f"{served(each)} served, {bare(each, 'requests_per_second')} req/s"
    name, measure = "response_p99_us", each.response_p99_us
    if measure.value is None and measure.at_most is None:
        name, measure = "first_p99_us", each.first_p99_us
    if name not in of_throughput(each.scenario):
        what = slowest_of(measure) or "p99"
        value = show(replace(measure, slowest_of=0), 1e3)
        return f"{said}, {'response' if name == 'response_p99_us' else 'first reply'} {what} {value} ms"
    return f"{said}, {bare(each, 'cpu_us')} us of CPU each"


def runs(summary: Summary) -> str:
    """Return how many runs are in the medians, and of how many: "10", "8/10"."""
    return f"{summary.runs}" if summary.runs == summary.attempts else f"{summary.runs}/{summary.attempts}"


def run_count(*counts: int) -> str:
    """Return "1 run", "3 runs", or "3 to 10 runs"."""
    least, most = min(counts, default=0), max(counts, default=0)
    return f"{most:,} run{'' if most == 1 else 's'}" if least == most else f"{least} to {most} runs"


def scenarios(some: Iterable[Summary]) -> str:
    """Return the scenarios of summaries."""
    return ", ".join(dict.fromkeys(each.workload.scenario for each in some))


def who(some: Sequence[Summary]) -> str:
    """Return the summaries in words, those of the same candidate and scenario together."""
    grouped: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in some:
        size = f" of {each.workload.size:,} bytes" if each.workload.size else ""
        rates = grouped.setdefault((each.candidate.label, f"{each.workload.scenario}{size}"), {})
        count = f"{each.workload.clients:,}"
        rates.setdefault(count, []).extend([f"{each.workload.rate:,g}"] if each.workload.rate else [])
    return "; ".join(
        f"{candidate}, {scenario}, {_amounts(counts)}" for (candidate, scenario), counts in grouped.items()
    )


def _amounts(counts: Mapping[str, Sequence[str]]) -> str:
    """Return loads in words: "1 and 50 clients", or "50 clients at 2,000, 3,000/s"; counts: rates by clients."""
    if not any(counts.values()):
        return f"{' and '.join(counts)} client{'' if list(counts) == ['1'] else 's'}"
    return ", ".join(
        f"{count} client{'' if count == '1' else 's'} at {', '.join(rates)}/s" for count, rates in counts.items()
    )
