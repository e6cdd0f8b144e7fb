"""
From all runs of one subject under one load to what is shown of it: medians over the runs that are sound.

A run that is in doubt for another reason than the server is kept, and shown with its doubt; it is in no median.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from typing import Any

from loadtest.compare.analysis import bootstrap
from loadtest.compare.analysis.measures import FIGURES, UNSOUND, Figure, Row, ceiling_of, is_unsound, row
from loadtest.compare.analysis.significance import is_bound
from loadtest.compare.candidates import Subject, from_json
from loadtest.compare.plan import LOADS, MIN_RUNS, Case, clients
from loadtest.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Summary:
    """
    One figure over all sound runs.

    value: the median; None with the reason `why`. low, high: its 99 % bootstrap interval from MIN_RUNS runs on, the
    least and the most with fewer; high is None where the lower bounds among the runs leave it open. at_least: the true
    median is `value` or more. values: one for each run, in the order of the runs; bounds: which of them are but lower
    bounds.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    at_least: bool = False
    why: str = ""
    values: tuple[float, ...] = ()
    bounds: tuple[bool, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nobody knows how far up the interval, or the range, goes."""
        return self.low is not None and self.high is None

    @property
    def is_interval(self) -> bool:
        """Whether low and high are a confidence interval, and not just a range."""
        return len(self.values) >= MIN_RUNS


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What is shown of one subject under one load.

    rows: its runs that are sound. doubtful: those with a doubt of UNSOUND. failed: those that gave nothing, or have not
    been run. figures: each of FIGURES, over `rows`.
    """

    subject: Subject
    case: Case
    scenario: Scenario
    rows: tuple[Row, ...]
    doubtful: tuple[Row, ...]
    failed: tuple[Row, ...]
    figures: Mapping[str, Summary]

    def __getitem__(self, name: str) -> Summary:
        """Return a figure; KeyError if there is none of this name."""
        return self.figures[name]

    @property
    def runs(self) -> int:
        """How many sound runs there are."""
        return len(self.rows)

    @property
    def shown(self) -> tuple[Row, ...]:
        """The runs that gave something, sound or not."""
        return (*self.rows, *self.doubtful)

    @property
    def attempts(self) -> int:
        """How often it was run, or was to be."""
        return len(self.shown) + len(self.failed)

    @property
    def who(self) -> str:
        """It in words, such as "threaded, saturate, 50 clients"."""
        return f"{self.subject.label}, {self.case.scenario}, {clients(self.case.clients)}"

    @property
    def served(self) -> tuple[int, int]:
        """
        Clients served of those connected, of the run with the smallest share served; 0 of 0 without any run.

        A run that served nobody is told by itself (nothing-answered): it would stand beside the speed of the others.
        """
        some = [each for each in self.shown if each.served] or self.shown
        worst = min(some, key=lambda each: each.served / max(1, each.connected), default=None)
        return (worst.served, worst.connected or worst.case.clients) if worst else (0, 0)


def subjects(result: Mapping[str, Any]) -> list[Subject]:
    """Return the subjects of a result, in the order in which they are shown."""
    return [from_json(each) for each in result["plan"]["subjects"]]


def entries(result: Mapping[str, Any]) -> list[Entry]:
    """Return the entries of a result, sorted for reading: by scenario, number of clients and subject."""
    ceiling = ceiling_of(result)
    known = {subject.name: subject for subject in subjects(result)}
    scenarios, names = list(LOADS), list(known)

    def place(each: Row) -> tuple[int, int, int]:
        return scenarios.index(each.case.scenario), each.case.clients, names.index(each.subject)

    every = sorted((row(cell, ceiling) for cell in result["cells"]), key=place)  # stable: runs stay in their order
    return [entry(known[runs[0].subject], runs) for _, each in groupby(every, key=place) if (runs := list(each))]


def entry(subject: Subject, runs: Sequence[Row]) -> Entry:
    """Return the entry of a subject's runs under one load."""
    failed = tuple(each for each in runs if each.problem)
    doubtful = tuple(each for each in runs if not each.problem and is_unsound(each))
    rows = tuple(each for each in runs if not each.problem and not is_unsound(each))
    return Entry(
        subject=subject,
        case=runs[0].case,
        scenario=(rows or doubtful or failed)[0].scenario,
        rows=rows,
        doubtful=doubtful,
        failed=failed,
        figures={name: _summary([getattr(each, name) for each in rows], doubtful, failed) for name in FIGURES},
    )


def _summary(found: Sequence[Figure], doubtful: Sequence[Row], failed: Sequence[Row]) -> Summary:
    known = [each for each in found if each.value is not None]
    values, bounds = tuple(each.value or 0.0 for each in known), tuple(each.at_least for each in known)
    if not found and doubtful:
        names = dict.fromkeys(doubt.name for run in doubtful for doubt in run.doubts if doubt.name in UNSOUND)
        return Summary(why=f"every run is in doubt: {', '.join(names)}")
    if not found:
        return Summary(why=failed[0].problem if failed else "not measured")
    if not values:
        return Summary(why=found[0].why)
    at_least = is_bound(values, bounds)
    if len(values) < MIN_RUNS:
        most = None if any(bounds) else max(values)
        return Summary(bootstrap.middle(values), min(values), most, at_least, values=values, bounds=bounds)
    interval = bootstrap.median(values, bounds)
    high = interval.high if isfinite(interval.high) else None
    return Summary(interval.value, interval.low, high, at_least, values=values, bounds=bounds)


def by_scenario(every: Iterable[Entry]) -> list[tuple[Scenario, list[Entry]]]:
    """Return sorted entries under their scenarios."""
    grouped = groupby(every, key=lambda each: each.case.scenario)
    return [(some[0].scenario, some) for _, each in grouped if (some := list(each))]
