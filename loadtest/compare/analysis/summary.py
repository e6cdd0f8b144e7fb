"""
Summarizes all runs of one candidate under one load: medians over the valid runs.

An excluded run is kept and shown with its warning, but is in no median.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from typing import Any

from loadtest.compare.analysis import bootstrap, machine_speed, modes
from loadtest.compare.analysis.measures import (
    MEASURES,
    Measure,
    RunMeasures,
    ceiling_of,
    excludes,
    excluding,
    measures_of,
)
from loadtest.compare.analysis.significance import is_bound
from loadtest.compare.candidates import Candidate, from_json
from loadtest.compare.plan import MIN_RUNS, Workload, amount
from loadtest.scenarios import SCENARIOS, Scenario


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    One measure over all valid runs.

    value: the median; None with the reason `why`. low, high: its 99 % bootstrap interval from MIN_RUNS runs on, the
    range with fewer; high is None if lower bounds among the runs leave it open. at_least: the true median is `value` or
    more. values: one for each run, in order; bounds: which of them are lower bounds. at_most: without a value, the most
    that any run may have had. slowest_of: as in Measure, of the run with the fewest samples.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    at_least: bool = False
    why: str = ""
    values: tuple[float, ...] = ()
    bounds: tuple[bool, ...] = ()
    at_most: float | None = None
    slowest_of: int = 0

    @property
    def groups(self) -> modes.Groups | None:
        """The two groups that the runs fall into, if they do; not told of lower bounds."""
        return None if any(self.bounds) else modes.groups(self.values)

    @property
    def is_open(self) -> bool:
        """Whether the interval or range has no upper end."""
        return self.low is not None and self.high is None

    @property
    def is_interval(self) -> bool:
        """Whether low and high are a confidence interval, not a range."""
        return len(self.values) >= MIN_RUNS


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The runs and measures of one candidate under one load.

    valid, excluded: its runs without and with a warning that takes a run out. failed: those without a result.
    measures: each of MEASURES, over `valid`.
    """

    candidate: Candidate
    workload: Workload
    scenario: Scenario
    valid: tuple[RunMeasures, ...]
    excluded: tuple[RunMeasures, ...]
    failed: tuple[RunMeasures, ...]
    measures: Mapping[str, Estimate]

    def __getitem__(self, name: str) -> Estimate:
        """Return a measure; KeyError on an unknown name."""
        return self.measures[name]

    @property
    def runs(self) -> int:
        """The number of valid runs."""
        return len(self.valid)

    @property
    def shown(self) -> tuple[RunMeasures, ...]:
        """The runs with a result, valid or not."""
        return (*self.valid, *self.excluded)

    @property
    def attempts(self) -> int:
        """The number of all runs, also failed ones."""
        return len(self.shown) + len(self.failed)

    @property
    def who(self) -> str:
        """Candidate and load, such as "threaded, saturate, 50 clients"."""
        return f"{self.candidate.label}, {self.workload.scenario}, {amount(self.workload)}"

    @property
    def served(self) -> tuple[int, int]:
        """
        Clients served of those connected, in the run with the smallest share; 0 of 0 without any run.

        Without runs that served no client, if there are others: these have a warning of their own (nothing-answered).
        """
        some = [each for each in self.shown if each.served] or self.shown
        worst = min(some, key=lambda each: each.served / max(1, each.connected), default=None)
        return (worst.served, worst.connected or worst.workload.clients) if worst else (0, 0)


def candidates(result: Mapping[str, Any]) -> list[Candidate]:
    """Return the candidates of a result, in the order of reports."""
    return [from_json(each) for each in result["plan"]["candidates"]]


def summaries(result: Mapping[str, Any]) -> list[Summary]:
    """Return the summaries of a result, sorted for reading: by scenario, number of clients, rate and candidate."""
    known = {candidate.name: candidate for candidate in candidates(result)}
    scenarios, names = list(SCENARIOS), list(known)

    def place(each: RunMeasures) -> tuple[int, int, float, int, int]:
        scenario, clients, rate, size = each.workload.load
        return scenarios.index(scenario), clients, rate, size, names.index(each.candidate)

    every = sorted(of_runs(result).values(), key=place)  # stable: runs stay in their order
    return [summarize(known[runs[0].candidate], runs) for _, each in groupby(every, key=place) if (runs := list(each))]


def of_runs(result: Mapping[str, Any]) -> dict[int, RunMeasures]:
    """Return each run's measures, by number, with the warnings that follow from all runs together."""
    ceiling, changed = ceiling_of(result), machine_speed.changes(result)
    cores = {candidate.name: candidate.cores or 1 for candidate in candidates(result)}
    found = {}
    for run in result["runs"]:
        each = measures_of(run, ceiling, cores[run["candidate"]])
        more = changed.get(run["number"])
        found[each.number] = replace(each, warnings=(*each.warnings, more)) if more else each
    return found


def summarize(candidate: Candidate, runs: Sequence[RunMeasures]) -> Summary:
    """Return the summary of a candidate's runs under one load."""
    failed = tuple(each for each in runs if each.problem)
    shown = [each for each in runs if not each.problem]
    excluded = tuple(each for each in shown if excludes(each.warnings))
    valid = tuple(each for each in shown if not excludes(each.warnings))
    return Summary(
        candidate=candidate,
        workload=runs[0].workload,
        scenario=(valid or excluded or failed)[0].scenario,
        valid=valid,
        excluded=excluded,
        failed=failed,
        measures={name: estimate([getattr(each, name) for each in valid], excluded, failed) for name in MEASURES},
    )


def estimate(
    found: Sequence[Measure], excluded: Sequence[RunMeasures] = (), failed: Sequence[RunMeasures] = ()
) -> Estimate:
    """Return one measure over valid runs; excluded, failed: the others, which say why it is missing."""
    known = [each for each in found if each.value is not None]
    values, bounds = tuple(each.value or 0.0 for each in known), tuple(each.at_least for each in known)
    if not found and excluded:
        names = dict.fromkeys(name for run in excluded for name in excluding(run.warnings))
        return Estimate(why=f"every run is excluded: {', '.join(names)}")
    if not found:
        return Estimate(why=failed[0].problem if failed else "not measured")
    slowest = min((each.slowest_of for each in found if each.slowest_of), default=0)
    if not values:
        most = max((each.at_most or 0.0 for each in found), default=0.0) or None
        return Estimate(why=found[0].why, at_most=most, slowest_of=slowest)
    if len(values) < MIN_RUNS:
        low, high = min(values), max(bootstrap.raised(values, bounds))
    else:
        interval = bootstrap.median(values, bounds)
        low, high = interval.low, interval.high
    ends = low, high if isfinite(high) else None
    return Estimate(bootstrap.middle(values), *ends, is_bound(values, bounds), "", values, bounds, slowest_of=slowest)


def by_scenario(every: Iterable[Summary]) -> list[tuple[Scenario, list[Summary]]]:
    """Return sorted summaries under their scenarios."""
    grouped = groupby(every, key=lambda each: each.workload.scenario)
    return [(some[0].scenario, some) for _, each in grouped if (some := list(each))]


def by_workload(every: Sequence[Summary]) -> list[list[Summary]]:
    """Return sorted summaries, those of one load together."""
    return [list(some) for _, some in groupby(every, key=lambda each: each.workload.load)]
