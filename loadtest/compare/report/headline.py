"""What a comparison at equal rates says first, in lines of ASCII: which model sustains which rate."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

from loadtest.compare.analysis.measures import process_of
from loadtest.compare.analysis.summary import Summary, estimate, summaries
from loadtest.compare.analysis.sustained import Sustained, common_rate, ratios, sustained
from loadtest.compare.plan import MIN_RUNS, clients
from loadtest.compare.report.formatting import between, number, served, show
from loadtest.compare.report.notes import incomplete, warnings

WIDTH: Final = 100

HEADINGS: Final = ("server", "clients", "sustains, requests/s", "p50 ms", "p99 ms", "CPU us", "served")
"""The columns of `rows`. From the fourth on they are about one rate, the same for all."""

_MOST_WARNINGS: Final = 3


class Row(NamedTuple):
    """A candidate with so many clients. cells: one for each of HEADINGS."""

    candidate: str
    cells: tuple[str, ...]


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Return a row for each candidate and number of clients that was swept, and for who served only some of them."""
    found = sustained(result)
    at = common_rate(found)
    every = [each for each in summaries(result) if each.workload.rate]
    some = []
    for each in found:
        there = next((one for one in every if _same(one, each) and one.workload.rate == at), None)
        some.append(Row(each.candidate.name, (*_head(each), *_figures(there))))
    swept = {(each.candidate.name, each.workload.clients) for each in found}
    for one in every:
        if (one.candidate.name, one.workload.clients) not in swept:
            said = f"serves {served(one)}" if one.served[0] < one.served[1] else f"at {one.workload.rate:,g}/s:"
            cells = (one.candidate.label, f"{one.workload.clients:,}", said)
            some.append(Row(one.candidate.name, (*cells, *_figures(one))))
    return some


def _same(one: Summary, each: Sustained) -> bool:
    return one.candidate == each.candidate and one.workload.clients == each.workload.clients


def _head(each: Sustained) -> tuple[str, str, str]:
    return each.candidate.label, f"{each.workload.clients:,}", rate_in_words(each)


def rate_in_words(each: Sustained) -> str:
    """Return what a candidate sustains, such as "6,600 (6,200 to 7,000)", or ">=7,000"."""
    rate = each.rate
    if rate.value is None:
        return "can't tell"
    if not rate.value:
        kept = [value for value in rate.values if value]
        some = f"{max(kept):,g} in {len(kept)} of {len(rate.values)} sweeps" if kept else ""
        return some or f"not even {each.rates[0]:,g}"
    shown = show(rate, 1.0)
    if len(rate.values) < 2 or rate.low is None:
        return shown
    ends = f"{number(rate.low)} or more" if rate.is_open else between(rate.low, rate.high, " to ", number)
    return f"{shown} ({ends})"


def _figures(each: Summary | None) -> tuple[str, ...]:
    if each is None:
        return ("-",) * 4
    p50, p99, cost = each["response_p50_us"], each["response_p99_us"], each["cpu_us"]
    return show(p50, 1e3), show(p99, 1e3), show(cost, 1.0), served(each)


def question(result: Mapping[str, Any]) -> str:
    """Return what the rows are about, in a sentence."""
    return (
        f"The highest rate within {result['plan']['slo']}, counted from when each request was due; all servers get the"
        " same requests at the same random times, half of them an ECHO, half of them work."
    )


def common(result: Mapping[str, Any]) -> float | None:
    """Return the rate that the rows' later columns are about; None without any."""
    return common_rate(sustained(result))


def comparisons(result: Mapping[str, Any]) -> list[str]:
    """Return by how much one sustains more than another with as many clients, a line each."""
    said = []
    for ours, theirs in combinations(sustained(result), 2):
        if ours.workload.clients != theirs.workload.clients:
            continue
        more, less = (ours, theirs) if (ours.rate.value or 0) >= (theirs.rate.value or 0) else (theirs, ours)
        every = ratios(more, less)
        factor = estimate(every)
        if factor.value is None or factor.low is None:
            continue
        high = "more" if factor.high is None else f"{factor.high:.2f}"
        ends = f" ({factor.low:.2f} to {high} in {len(every)} pairs)" if len(every) > 1 else ""
        best, other = more.candidate.label, less.candidate.label
        if factor.low > 1:
            least = ">=" if factor.at_least else ""
            about = f"{best} sustains {least}{factor.value:.2f} times the rate of {other}"
        else:
            about = f"these sweeps can't tell which of {best} and {other} sustains more"
        said.append(f"With {clients(ours.workload.clients)}, {about}{ends}.")
    return said


def notes(result: Mapping[str, Any]) -> list[str]:
    """Return what is to be read with the rows, a line each."""
    found = sustained(result)
    counts = sorted({len(each.sweeps) for each in found}) or [0]
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    said = [incomplete(result)]
    if counts[-1] < MIN_RUNS:
        said.append(
            f"Indicative: medians (and ranges) of {many} sweeps, each in fresh processes; a verdict takes {MIN_RUNS}."
        )
    if any(each.rate.at_least for each in found):
        said.append(">= before a rate: no higher one missed the SLO; the warnings say where a run can't tell.")
    return [line for line in said if line]


def text(result: Mapping[str, Any]) -> str:
    """Return the answer for the terminal: at most 24 lines of 100 characters; "" without sweeps."""
    some = rows(result)
    if not some:
        return ""
    at = common(result)
    about = f"{HEADINGS[2]:>30}" if at is None else f"{'':30}   at {at:,g} requests/s:"
    lines = [*textwrap.wrap(question(result), WIDTH), "", _line(("", "", about, "", "", "", "")), _line(HEADINGS)]
    lines += [_line(row.cells) for row in some]
    lines += ["", *(line for each in (*comparisons(result), *notes(result)) for line in textwrap.wrap(each, WIDTH))]
    lines += _warned(result)
    return "\n".join(line.rstrip() for line in lines)


def _line(cells: Sequence[str]) -> str:
    name, count, rate, *figures = cells
    return f"{name:20} {count:>7} {rate:>30}  {' '.join(f'{each:>8}' for each in figures[:3])}  {figures[3]:>10}"


def _warned(result: Mapping[str, Any]) -> Iterable[str]:
    """Return the warnings by name; the page has their words."""
    names = list(dict.fromkeys(each.warning.name for each in warnings(result, summaries(result))))
    if names:
        shown = ", ".join(names[:_MOST_WARNINGS]) + (f" and {len(names) - _MOST_WARNINGS} more" * (len(names) > 3))
        yield f"Warnings: {shown}. The page says in which runs, and what to do."


def brief(result: Mapping[str, Any], number: int) -> str:
    """Return what the sweep of a process said, in a few words, for the progress line."""
    runs = [run for run in result["runs"] if process_of(run) == number]
    [sweep, *_] = [sweep for each in sustained({**result, "runs": runs}) for sweep in each.sweeps]
    if not sweep.tells:
        return "can't tell"
    said = f"sustains {sweep.low:,g}/s" if sweep.low else "sustains none of the rates"
    return f"{said}, not {sweep.high:,g}/s" if sweep.high else said
