"""What a comparison at equal rates says first, in lines of ASCII: which model sustains which rate."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any, Final, NamedTuple, Self

from loadtest.compare.analysis.measures import process_of, waited_for
from loadtest.compare.analysis.summary import Estimate, Summary, estimate, summaries
from loadtest.compare.analysis.sustained import Sustained, common_rate, ratios, sustained
from loadtest.compare.plan import MIN_RUNS, clients
from loadtest.compare.report.formatting import OF_FEW, SLOWEST, between, number, served, show
from loadtest.compare.report.notes import incomplete, warnings

WIDTH: Final = 100

HEADINGS: Final = ("server", "clients", "sustains, requests/s", "p50 ms", "p99 ms", "CPU us", "served")
"""The columns of `rows`. From the fourth on they are about one rate, the same for all."""

MANY_HEADINGS: Final = ("server", "clients", *HEADINGS[3:])  # the columns of `many_rows`


class Row(NamedTuple):
    """
    A candidate with so many clients. head, figures: the first and the later ones of the headings.

    rate: of the figures, where it is not the one that the headings name. is_many: whether `Headline.many` has it too.
    """

    candidate: str
    head: tuple[str, ...]
    figures: tuple[str, ...]
    rate: float | None = None
    is_many: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """One for each of HEADINGS; each says its rate, where that is not the headings'."""
        about = "" if self.rate is None else f" at {self.rate:,g}/s"
        return (*self.head, *(each if each == "-" else f"{each}{about}" for each in self.figures))


@dataclass(frozen=True, slots=True)
class Headline:
    """
    What a result says first. All its parts come from here: summaries and rates are computed once.

    every: the summaries. found: what each candidate sustains. rate: the one that the rows' later columns are about, or
    None. many: the summaries at one rate, from few clients to many.
    """

    result: Mapping[str, Any]
    every: Sequence[Summary]
    found: Sequence[Sustained]
    rate: float | None
    many: Sequence[Summary]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """Return it for a whole result."""
        every, found = summaries(result), sustained(result)
        return cls(result, every, found, common_rate(found), at_one_rate(every))

    def rows(self) -> list[Row]:
        """
        Return a row for each candidate and number of clients that was swept, and for those at a rate apart.

        None without sweeps. Of the latter the first are those that served only some; then, by rate, few and many
        clients. One with fewer clients than its sweeps is left out: it is for the textbook's claims.
        """
        if not self.found:  # a rate alone tells nothing of what is sustained
            return []
        every = [each for each in self.every if each.workload.rate]
        by_load = {(each.candidate.name, each.workload.clients, each.workload.rate): each for each in reversed(every)}
        some, swept = [], dict[str, dict[int, Sustained]]()
        for each in self.found:
            name, count = each.candidate.name, each.workload.clients
            there = by_load.get((name, count, self.rate))
            some.append(Row(name, (each.candidate.label, f"{count:,}", rate_in_words(each)), _figures(there)))
            swept.setdefault(name, {})[count] = each
        partly, apart = [], []
        for one in every:
            name, count, rate = one.candidate.name, one.workload.clients, one.workload.rate
            sweeps = swept.get(name, {})
            if (count in sweeps and rate in sweeps[count].rates) or count < min(sweeps, default=0):
                continue
            figures = _figures(one)
            own = None if rate == self.rate or figures[0] == figures[1] == figures[2] == "-" else rate
            head = one.candidate.label, f"{count:,}"
            if one.served[0] < one.served[1]:
                said = f"serves {served(one)}{f' at {own:,g}/s' if own else ''}"
                partly.append(Row(name, (*head, said), figures, own))
            else:
                apart.append(Row(name, (*head, ""), figures, own, is_many=one in self.many))
        return [*some, *partly, *sorted(apart, key=lambda row: row.rate or 0.0)]

    def many_rows(self) -> list[Row]:
        """Return a row for each candidate and number of clients at one rate, under MANY_HEADINGS."""
        return [
            Row(each.candidate.name, (each.candidate.label, f"{each.workload.clients:,}"), _figures(each))
            for each in self.many
        ]

    def question(self) -> str:
        """Return what the rows are about, in a sentence."""
        does = self.found[0].scenario.does.replace("`", "")
        return (
            f"Sustained: the highest rate tried with {self.result['plan']['slo']}, counted from when a request was due."
            f" All servers get the same requests at random times; each client {does}."
        )

    def headings(self) -> list[str]:
        """Return the columns' headings, of which the later ones name the rate that they are about."""
        at = self.rate
        about = "" if at is None else f" at {at:,g}/s"
        return [*HEADINGS[:3], *(f"{name}{about}" for name in HEADINGS[3:])]

    def comparisons(self) -> list[str]:
        """Return the answer in sentences: who serves only some, and by how much one sustains more than another."""
        at = self.rate or 0.0
        some = [each for each in self.every if 0 < (each.workload.rate or 0) <= at and each.served[0] < each.served[1]]
        left_out = (
            f"With {clients(each.served[1])}, {each.candidate.label} serves {each.served[0]:,}." for each in some
        )
        said = list(dict.fromkeys(left_out))
        for more, less, times in self._factors():
            best, other = more.candidate.label, less.candidate.label
            low, high = f"{times.low:.2f}", "more" if times.high is None else f"{times.high:.2f}"
            repeats = f" in {len(times.values)} repeats" if len(times.values) > 1 else ""
            if _tells(times):
                ends = f" ({low} to {high}{repeats})" if repeats else ""
                least = "at least " if times.at_least else ""
                about = f"{best} sustains {least}{times.value:.2f} times the rate of {other}{ends}"
            else:
                span = f"at least {low}" if times.high is None else f"{low} to {high}"
                about = f"{best} or {other}: can't tell ({best} sustained {span} times as much{repeats})"
            said.append(f"With {clients(more.workload.clients)}, {about}.")
        return said

    @property
    def is_untold(self) -> bool:
        """Whether it can't be told of a pair which one sustains more."""
        return not all(_tells(times) for _, _, times in self._factors())

    def _factors(self) -> Iterable[tuple[Sustained, Sustained, Estimate]]:
        """Yield each two with equally many clients, and how many times the rate of the second the first sustains."""
        for ours, theirs in combinations(self.found, 2):
            if ours.workload.clients != theirs.workload.clients:
                continue
            more, less = (ours, theirs) if (ours.rate.value or 0) >= (theirs.rate.value or 0) else (theirs, ours)
            times = estimate(ratios(more, less))
            if times.value is not None:
                yield more, less, times

    def notes(self) -> list[str]:
        """Return what is to be read with the rows, a line each."""
        counts = [len(each.sweeps) for each in self.found] or [0]
        many = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        said = [incomplete(self.result)]
        if max(counts) < MIN_RUNS:
            said.append(
                f"Indicative: medians (and ranges) of {many} sweeps, each in fresh processes. A verdict takes"
                f" {MIN_RUNS}: compare --thorough."
            )
        if any(each.rate.at_least for each in self.found):
            said.append('"Or more": no higher rate missed the SLO, or it can\'t be told (see the warnings).')
        shown = " ".join(cell for row in self.rows() for cell in row.cells[3:])
        meaning = {
            ">=": ">=: replies were still missing.",
            "<=": "<=: a tenth or more may be the load's own delay.",
            SLOWEST: f"{OF_FEW}.",
        }
        said.append(" ".join(words for mark, words in meaning.items() if mark in shown))
        return [line for line in said if line]


def at_one_rate(every: Sequence[Summary]) -> list[Summary]:
    """Return the summaries at the rate at which a candidate had most numbers of clients; none if each had but one."""
    numbers = Counter[tuple[float | None, str]](
        (each.workload.rate, each.candidate.name)
        for each in every
        if each.workload.rate and each["cpu_us"].value is not None
    )
    (rate, _), count = max(numbers.items(), key=lambda each: each[1], default=((None, ""), 0))
    return [each for each in every if each.workload.rate == rate] if count > 1 else []


def _tells(times: Estimate) -> bool:
    """Return whether the one surely sustains more."""
    return (times.low or 0.0) > 1


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
    replies = waited_for(each.scenario)
    p50, p99, cost = each[f"{replies}_p50_us"], each[f"{replies}_p99_us"], each["cpu_us"]
    return show(p50, 1e3), show(p99, 1e3), show(cost, 1.0), served(each)


def signs(text: str) -> str:
    """Return a text with the signs of bounds, where more than ASCII can be shown."""
    return text.replace(">=", "≥").replace("<=", "≤")


def text(result: Mapping[str, Any]) -> str:
    """Return the answer for the terminal: at most 24 lines of 100 characters; "" without sweeps."""
    found = Headline.of(result)
    some = found.rows()
    if not some:
        return ""
    about = f"{HEADINGS[2]:>30}" if found.rate is None else f"{'':30}   at {found.rate:,g} requests/s:"
    lines = [*_wrapped(found.comparisons()), "", _line(("", "", about, "", "", "", "")), _line(HEADINGS)]
    for rate, group in groupby(some, key=lambda row: None if row.head[2] else row.rate):
        lines += [_line(("", "", f"{'':30}   at {rate:,g} requests/s:", *[""] * 4))] if rate else []
        lines += [_line((*row.head, *row.figures)) for row in group]
    warned = ", ".join(dict.fromkeys(each.warning.name for each in warnings(result, found.every)))
    if warned:
        warned = f"Warnings: {warned}. The page (below) says what they mean, and in which runs."
    lines += ["", *_wrapped([found.question(), *found.notes(), warned])]
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(some: Iterable[str]) -> list[str]:
    return [line for each in some for line in textwrap.wrap(each, WIDTH, subsequent_indent="   ")]


def _line(cells: Sequence[str]) -> str:
    name, count, rate, *figures = cells
    return f"{name:18} {count:>7} {rate:>30}  {' '.join(f'{each:>8}' for each in figures[:3])}  {figures[3]:>12}"


def brief(result: Mapping[str, Any], number: int) -> str:
    """Return what the sweep of a process said, in a few words, for the progress line."""
    runs = [run for run in result["runs"] if process_of(run) == number]
    [sweep, *_] = [sweep for each in sustained({**result, "runs": runs}) for sweep in each.sweeps]
    if not sweep.tells:
        return "can't tell"
    said = f"sustains {sweep.low:,g}/s" if sweep.low else "sustains none of the rates"
    return f"{said}, not {sweep.high:,g}/s" if sweep.high else said
