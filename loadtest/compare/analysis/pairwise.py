"""Compares each two candidates by each fair measure of each scenario."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf
from typing import Final

from loadtest.compare.analysis.measures import is_paced, seeks_top_speed, stays
from loadtest.compare.analysis.significance import (
    GENERATOR_LIMIT,
    UNANSWERED,
    Answer,
    Sample,
    Significance,
    compare_runs,
)
from loadtest.compare.analysis.summary import Estimate, Summary, by_workload
from loadtest.scenarios import Scenario

MORE_IS_BETTER: Final = frozenset({"requests_per_second"})  # of all other measures less is

OF_THE_SERVED: Final = frozenset({"requests_per_second", "cpu_us", "response_p99_us"})
"""
The measures of served clients only: a server that starves the other clients is not better by them. The wait for the
first reply is not among them, because it includes unserved clients at their age.
"""

WORDS: Final = {
    "requests_per_second": "requests/s",
    "response_p99_us": "response p99",
    "first_p99_us": "first reply p99",
    "cpu_us": "CPU per request",
    "resident_bytes": "memory",
    "threads": "threads",
}
"""The judged measures in words."""

ALIKE: Final = 1.1  # most by which two numbers of samples may differ for their slowest to be compared


@dataclass(frozen=True, slots=True)
class Pair:
    """One measure of two candidates under one load: the ratio of ours to theirs, and the better one's name, or ""."""

    measure: str
    ours: Summary
    theirs: Summary
    significance: Significance
    better: str


def fair(scenario: Scenario) -> tuple[str, ...]:
    """Return the measures that may be compared in a scenario, from its properties."""
    if not is_paced(scenario):  # a latency is clients / throughput there (measures.of_throughput)
        return ("requests_per_second", "cpu_us") if seeks_top_speed(scenario) else ("requests_per_second",)
    if stays(scenario) and not scenario.paced:
        return ("resident_bytes", "threads", "first_p99_us")
    if stays(scenario):
        return ("response_p99_us", "cpu_us")
    return ("first_p99_us",) if scenario.requests == 1 else ("first_p99_us", "response_p99_us")


def all_pairs(every: Sequence[Summary]) -> list[Pair]:
    """Return every pair of candidates under every load, by each fair measure."""
    return [
        compare_pair(measure, ours, theirs)
        for some in by_workload(every)
        for ours, theirs in combinations(some, 2)
        for measure in fair(ours.scenario)
    ]


def compare_pair(measure: str, ours: Summary, theirs: Summary, *, apart: bool = False) -> Pair:
    """Compare one measure of two summaries; apart: of two comparisons, whose repeats have nothing in common."""
    one, other = (_sample(each, measure) for each in (ours, theirs))
    if apart:
        one, other = replace(one, repeats=()), replace(other, repeats=())
    return judged(measure, ours, theirs, compare_runs(one, other))


def judged(measure: str, ours: Summary, theirs: Summary, found: Significance) -> Pair:
    """Return which is better: neither if it served fewer clients, or if the numbers of samples may explain it."""
    why, name = _unlike(ours[measure], theirs[measure], found), ""
    if not why and found.answer is Answer.DIFFERENT and found.ratio is not None:
        is_ours = (found.ratio > 1) == (measure in MORE_IS_BETTER)
        better, worse = (ours, theirs) if is_ours else (theirs, ours)
        name = better.candidate.name
        if measure in OF_THE_SERVED and _share(better) < min(1.0, _share(worse)):
            served, connected = better.served
            why = f"{better.candidate.label} served {served:,} of {connected:,} clients only: its figure is theirs"
    if why:
        return Pair(measure, ours, theirs, replace(found, answer=Answer.CANNOT_TELL, why=why), "")
    return Pair(measure, ours, theirs, found, name)


def in_words(measure: str, some: Iterable[Summary]) -> str:
    """Return a judged measure in words; of few replies it is no p99."""
    few = [each[measure].slowest_of for each in some if each[measure].slowest_of]
    return f"{WORDS[measure].removesuffix(' p99')}, slowest of {min(few):,}" if few else WORDS[measure]


def _unlike(ours: Estimate, theirs: Estimate, found: Significance) -> str:
    """Return why an answer may come from the numbers of samples alone; "" if it holds."""
    one, other = ours.slowest_of or inf, theirs.slowest_of or inf
    if one == other or found.ratio is None or found.answer not in {Answer.DIFFERENT, Answer.EQUIVALENT}:
        return ""
    more, fewer = max(one, other), min(one, other)
    if found.answer is Answer.DIFFERENT:
        more, fewer = (one, other) if found.ratio > 1 else (other, one)  # the slower one's, the quicker one's
    # A p99, even of many more, is below their slowest.
    if more <= ALIKE * fewer < inf or (found.answer is Answer.DIFFERENT and more == inf):
        return ""
    named = [f"the slowest of {each:,.0f}" if each != inf else "a p99" for each in (one, other)]
    return f"{named[0]} beside {named[1]}: measure longer"


def _share(summary: Summary) -> float:
    served, connected = summary.served
    return served / connected if connected else 0.0


def _sample(summary: Summary, measure: str) -> Sample:
    limit = GENERATOR_LIMIT if measure in MORE_IS_BETTER else UNANSWERED
    every = [(run.repeat, getattr(run, measure)) for run in summary.valid]
    above = [(repeat, each.value, each.at_least) for repeat, each in every if (each.value or 0) > 0]
    repeats, values, bounds = zip(*above, strict=True) if above else ((), (), ())
    return Sample(values, bounds, limit, repeats)
