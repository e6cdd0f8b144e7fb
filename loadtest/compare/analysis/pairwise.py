"""Compares each two candidates by each fair measure of each scenario."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
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
from loadtest.compare.analysis.summary import Estimate, Summary
from loadtest.scenarios import Scenario

MORE_IS_BETTER: Final = frozenset({"requests_per_second"})
"""The measures of which more is better; of all others less is."""

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


@dataclass(frozen=True, slots=True)
class Pair:
    """
    One measure of two candidates under one load. significance: of the ratio of `ours` to `theirs`.

    better: the better one's name, "" if unknown.
    """

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
    loads = groupby(every, key=lambda each: each.workload.load)
    return [
        compare_pair(measure, ours, theirs)
        for _, some in loads
        for ours, theirs in combinations(list(some), 2)
        for measure in fair(ours.scenario)
    ]


def compare_pair(measure: str, ours: Summary, theirs: Summary) -> Pair:
    """Compare one measure of two summaries of one comparison."""
    return judged(measure, ours, theirs, compare_runs(_sample(ours, measure), _sample(theirs, measure)))


def compare_apart(measure: str, ours: Summary, theirs: Summary) -> Pair:
    """Compare one measure of summaries of two comparisons, whose repeats have nothing in common."""
    one, other = (replace(_sample(each, measure), repeats=()) for each in (ours, theirs))
    return judged(measure, ours, theirs, compare_runs(one, other))


def judged(measure: str, ours: Summary, theirs: Summary, found: Significance) -> Pair:
    """
    Return which of two is better by what was found.

    Neither, if that has served fewer clients only, or if the answer may come from the numbers of samples.
    """
    unlike = _unlike(ours[measure], theirs[measure], found)
    if unlike:
        return Pair(measure, ours, theirs, replace(found, answer=Answer.CANNOT_TELL, why=unlike), "")
    if found.answer is not Answer.DIFFERENT or found.ratio is None:
        return Pair(measure, ours, theirs, found, "")
    more, less = (ours, theirs) if found.ratio > 1 else (theirs, ours)
    better, worse = (more, less) if measure in MORE_IS_BETTER else (less, more)
    if measure in OF_THE_SERVED and _share(better) < min(1.0, _share(worse)):
        served, connected = better.served
        why = f"{better.candidate.label} served {served:,} of {connected:,} clients only: its figure is theirs"
        return Pair(measure, ours, theirs, replace(found, answer=Answer.CANNOT_TELL, why=why), "")
    return Pair(measure, ours, theirs, found, better.candidate.name)


ALIKE: Final = 1.1
"""The largest ratio of two numbers of samples of which the slowest may be compared: of more it is slower by itself."""


def in_words(measure: str, some: Iterable[Summary]) -> str:
    """Return a judged measure in words; of few replies it is no p99."""
    few = [each[measure].slowest_of for each in some if each[measure].slowest_of]
    return f"{WORDS[measure].removesuffix(' p99')}, slowest of {min(few):,}" if few else WORDS[measure]


def _unlike(ours: Estimate, theirs: Estimate, found: Significance) -> str:
    """Return why an answer may come from the numbers of samples alone; "" if it holds."""
    one, other = ours.slowest_of or inf, theirs.slowest_of or inf
    if one == other or found.ratio is None or found.answer not in {Answer.DIFFERENT, Answer.EQUIVALENT}:
        return ""
    if found.answer is Answer.DIFFERENT:  # a p99, even of many more, is below their slowest
        slower, quicker = (one, other) if found.ratio > 1 else (other, one)
        if slower == inf or (quicker != inf and slower <= ALIKE * quicker):
            return ""
    elif inf not in {one, other} and max(one, other) <= ALIKE * min(one, other):
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
