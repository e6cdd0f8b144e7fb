"""What a comparison at equal rates says first, in lines of ASCII: which model sustains which rate."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, groupby
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


class Row(NamedTuple):
    """
    A candidate with so many clients. head, figures: the first and the later ones of HEADINGS.

    rate: of the figures, where it is not the one that the headings name.
    """

    candidate: str
    head: tuple[str, str, str]
    figures: tuple[str, ...]
    rate: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """One for each of HEADINGS; each says its rate, where that is not the headings'."""
        about = "" if self.rate is None else f" at {self.rate:,g}/s"
        return (*self.head, *(each if each == "-" else f"{each}{about}" for each in self.figures))


def rows(result: Mapping[str, Any]) -> list[Row]:
    """
    Return a row for each candidate and number of clients that was swept, and for those at a rate apart.

    Of the latter the first are those that served only some; then, by rate, few and many clients. One with fewer clients
    than its sweeps is left out: it is for the textbook's claims.
    """
    found = sustained(result)
    at = common_rate(found)
    every = [each for each in summaries(result) if each.workload.rate]
    some, swept = [], dict[str, dict[int, Sustained]]()
    for each in found:
        there = next((one for one in every if _same(one, each) and one.workload.rate == at), None)
        some.append(Row(each.candidate.name, _head(each), _figures(there)))
        swept.setdefault(each.candidate.name, {})[each.workload.clients] = each
    partly, apart = [], []
    for one in every:
        name, count, rate = one.candidate.name, one.workload.clients, one.workload.rate
        sweeps = swept.get(name, {})
        if (count in sweeps and rate in sweeps[count].rates) or count < min(sweeps, default=0):
            continue
        figures = _figures(one)
        own = None if rate == at or figures[0] == figures[1] == figures[2] == "-" else rate
        if one.served[0] < one.served[1]:
            said = f"serves {served(one)}{f' at {own:,g}/s' if own else ''}"
            partly.append(Row(name, (one.candidate.label, f"{count:,}", said), figures, own))
        else:
            apart.append(Row(name, (one.candidate.label, f"{count:,}", ""), figures, own))
    return [*some, *partly, *sorted(apart, key=lambda row: row.rate or 0.0)]


def _same(one: Summary, each: Sustained) -> bool:
    return one.candidate == each.candidate and one.workload.clients == each.workload.clients


def _head(each: Sustained) -> tuple[str, str, str]:
    return each.candidate.label, f"{each.workload.clients:,}", rate_in_words(each)


def rate_in_words(each: Sustained) -> str:
    """Return what a candidate sustains, such as "6,600 (6,200 to 7,000)", or "7,000 or more"."""
    rate = each.rate
    if rate.value is None:
        return "can't tell"
    if not rate.value:
        kept = [value for value in rate.values if value]
        some = f"{max(kept):,g} in {len(kept)} of {len(rate.values)} sweeps only" if kept else ""
        return some or f"not even {each.rates[0]:,g}"
    shown = f"{rate.value:,g}{' or more' if rate.at_least else ''}"
    if len(rate.values) < 2 or rate.low is None:
        return shown
    if rate.is_open:
        return shown if rate.low == rate.value else f"{shown} (at worst {number(rate.low)})"
    return f"{shown} ({between(rate.low, rate.high, ' to ', number)})" if rate.low != rate.high else shown


def _figures(each: Summary | None) -> tuple[str, ...]:
    if each is None:
        return ("-",) * 4
    p50, p99, cost = each["response_p50_us"], each["response_p99_us"], each["cpu_us"]
    return show(p50, 1e3), show(p99, 1e3), show(cost, 1.0), served(each)


def signs(text: str) -> str:
    """Return a text with the signs of bounds, where more than ASCII can be shown."""
    return text.replace(">=", "≥").replace("<=", "≤")


def question(result: Mapping[str, Any]) -> str:
    """Return what the rows are about, in a sentence."""
    return (
        f"Sustained: the highest rate tried with {result['plan']['slo']}, counted from when a request was due. All"
        " servers get the same requests at random times; half echo a text, half also compute in Python."
    )


def common(result: Mapping[str, Any]) -> float | None:
    """Return the rate that the rows' later columns are about; None without any."""
    return common_rate(sustained(result))


def headings(result: Mapping[str, Any]) -> list[str]:
    """Return the columns' headings, of which the later ones name the rate that they are about."""
    at = common(result)
    about = "" if at is None else f" at {at:,g}/s"
    return [*HEADINGS[:3], *(f"{name}{about}" for name in HEADINGS[3:])]


def comparisons(result: Mapping[str, Any]) -> list[str]:
    """Return the answer in sentences: who serves only some, and by how much one sustains more than another."""
    said = _left_out(result)
    for ours, theirs in combinations(sustained(result), 2):
        if ours.workload.clients != theirs.workload.clients:
            continue
        more, less = (ours, theirs) if (ours.rate.value or 0) >= (theirs.rate.value or 0) else (theirs, ours)
        every = ratios(more, less)
        factor = estimate(every)
        if factor.value is None or factor.low is None:
            continue
        high = "more" if factor.high is None else f"{factor.high:.2f}"
        best, other = more.candidate.label, less.candidate.label
        if factor.low > 1:
            least = "at least " if factor.at_least else ""
            ends = f" ({factor.low:.2f} to {high} in {len(every)} repeats)" if len(every) > 1 else ""
            about = f"{best} sustains {least}{factor.value:.2f} times the rate of {other}{ends}"
        else:
            repeats = f" in {len(every)} repeats" if len(every) > 1 else ""
            span = f"at least {factor.low:.2f}" if factor.high is None else f"{factor.low:.2f} to {high}"
            about = f"{best} or {other}: can't tell ({best} sustained {span} times as much{repeats})"
        said.append(f"With {clients(ours.workload.clients)}, {about}.")
    return said


def _left_out(result: Mapping[str, Any]) -> list[str]:
    """Return which candidates serve only some of their clients at a rate that others sustain, a line each."""
    at = common(result) or 0.0
    some = [
        each for each in summaries(result) if 0 < (each.workload.rate or 0) <= at and each.served[0] < each.served[1]
    ]
    said = [f"With {clients(each.served[1])}, {each.candidate.label} serves {each.served[0]:,}." for each in some]
    return list(dict.fromkeys(said))


def notes(result: Mapping[str, Any]) -> list[str]:
    """Return what is to be read with the rows, a line each."""
    found = sustained(result)
    counts = sorted({len(each.sweeps) for each in found}) or [0]
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    said = [incomplete(result)]
    if counts[-1] < MIN_RUNS:
        said.append(
            f"Indicative: medians (and ranges) of {many} sweeps, each in fresh processes. A verdict takes {MIN_RUNS}:"
            " compare --thorough."
        )
    if any(each.rate.at_least for each in found):
        said.append('"Or more": no higher rate missed the SLO, or it can\'t be told (see the warnings).')
    shown = " ".join(cell for row in rows(result) for cell in row.cells[3:])
    meaning = {">=": ">=: replies were still missing.", "<=": "<=: a tenth or more may be the load's own delay."}
    said.append(" ".join(words for mark, words in meaning.items() if mark in shown))
    return [line for line in said if line]


def text(result: Mapping[str, Any]) -> str:
    """Return the answer for the terminal: at most 24 lines of 100 characters; "" without sweeps."""
    some = rows(result)
    if not some:
        return ""
    at = common(result)
    about = f"{HEADINGS[2]:>30}" if at is None else f"{'':30}   at {at:,g} requests/s:"
    lines = [*_wrapped(comparisons(result)), "", _line(("", "", about, "", "", "", "")), _line(HEADINGS)]
    for rate, group in groupby(some, key=lambda row: None if row.head[2] else row.rate):
        lines += [_line(("", "", f"{'':30}   at {rate:,g} requests/s:", *[""] * 4))] if rate else []
        lines += [_line((*row.head, *row.figures)) for row in group]
    lines += ["", *_wrapped([question(result), *notes(result), *_warned(result)])]
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(some: Iterable[str]) -> list[str]:
    return [line for each in some for line in textwrap.wrap(each, WIDTH, subsequent_indent="   ")]


def _line(cells: Sequence[str]) -> str:
    name, count, rate, *figures = cells
    return f"{name:18} {count:>7} {rate:>30}  {' '.join(f'{each:>8}' for each in figures[:3])}  {figures[3]:>12}"


def _warned(result: Mapping[str, Any]) -> Iterable[str]:
    """Return the warnings by name; the page has their words."""
    names = list(dict.fromkeys(each.warning.name for each in warnings(result, summaries(result))))
    if names:
        yield f"Warnings: {', '.join(names)}. The page (below) says what they mean, and in which runs."


def brief(result: Mapping[str, Any], number: int) -> str:
    """Return what the sweep of a process said, in a few words, for the progress line."""
    runs = [run for run in result["runs"] if process_of(run) == number]
    [sweep, *_] = [sweep for each in sustained({**result, "runs": runs}) for sweep in each.sweeps]
    if not sweep.tells:
        return "can't tell"
    said = f"sustains {sweep.low:,g}/s" if sweep.low else "sustains none of the rates"
    return f"{said}, not {sweep.high:,g}/s" if sweep.high else said
