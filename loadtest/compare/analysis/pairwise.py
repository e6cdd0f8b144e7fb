"""Who is different from whom: each fair figure of each scenario, judged between two subjects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Final

from loadtest.compare.analysis.measures import is_paced, seeks_top_speed, stays
from loadtest.compare.analysis.significance import GENERATOR_LIMIT, UNANSWERED, Answer, Judgement, Sample, judge
from loadtest.compare.analysis.summary import Entry
from loadtest.scenarios import Scenario

MORE_IS_BETTER: Final = frozenset({"requests_per_second"})
"""The figures of which more is better; of all others less is."""

OF_THE_SERVED: Final = frozenset({"requests_per_second", "cpu_us", "response_p99_us"})
"""
The figures that tell of the clients that are served alone: who starves the others is no better by them. The wait for
the first reply is none of them, for whoever is not served is in it at its age.
"""

WORDS: Final = {
    "requests_per_second": "requests/s",
    "response_p99_us": "response p99",
    "first_p99_us": "first reply p99",
    "cpu_us": "CPU per request",
    "resident_bytes": "memory",
    "threads": "threads",
}
"""The figures that are judged, in a reader's words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    One figure of two subjects under one load. judgement: its ratio is `ours` over `theirs`.

    better: the name of the one that is better, "" if that can't be said.
    """

    figure: str
    ours: Entry
    theirs: Entry
    judgement: Judgement
    better: str


def fair(scenario: Scenario) -> tuple[str, ...]:
    """Return the figures that may be compared in a scenario: what design says of it, and its own properties."""
    if not is_paced(scenario):  # a latency is clients / throughput there (figures.of_throughput)
        return ("requests_per_second", "cpu_us") if seeks_top_speed(scenario) else ("requests_per_second",)
    if stays(scenario) and not scenario.paced:
        return ("resident_bytes", "threads", "first_p99_us")
    if stays(scenario):
        return ("response_p99_us",)
    return ("first_p99_us",) if scenario.requests == 1 else ("first_p99_us", "response_p99_us")


def verdicts(every: Sequence[Entry]) -> list[Verdict]:
    """Return every pair of subjects under every load, judged by each figure that is fair there."""
    loads = groupby(every, key=lambda each: (each.case.scenario, each.case.clients))
    return [
        judged(figure, ours, theirs)
        for _, some in loads
        for ours, theirs in combinations(list(some), 2)
        for figure in fair(ours.scenario)
    ]


def judged(figure: str, ours: Entry, theirs: Entry) -> Verdict:
    """Return one figure of two entries, judged."""
    found = judge(_sample(ours, figure), _sample(theirs, figure))
    if found.answer is not Answer.DIFFERENT or found.ratio is None:
        return Verdict(figure, ours, theirs, found, "")
    more, less = (ours, theirs) if found.ratio > 1 else (theirs, ours)
    better, worse = (more, less) if figure in MORE_IS_BETTER else (less, more)
    if figure in OF_THE_SERVED and _share(better) < min(1.0, _share(worse)):
        served, connected = better.served
        why = f"{better.subject.label} served {served:,} of {connected:,} clients only: its figure is theirs"
        return Verdict(figure, ours, theirs, replace(found, answer=Answer.CANNOT_TELL, why=why), "")
    return Verdict(figure, ours, theirs, found, better.subject.name)


def _share(entry: Entry) -> float:
    served, connected = entry.served
    return served / connected if connected else 0.0


def _sample(entry: Entry, figure: str) -> Sample:
    summary = entry[figure]
    limit = GENERATOR_LIMIT if figure in MORE_IS_BETTER else UNANSWERED
    above = [(value, bound) for value, bound in zip(summary.values, summary.bounds, strict=True) if value > 0]
    return Sample(tuple(value for value, _ in above), tuple(bound for _, bound in above), limit)


def of(every: Iterable[Verdict], figure: str, scenario: str) -> list[Verdict]:
    """Return those about one figure of one scenario."""
    return [each for each in every if each.figure == figure and each.ours.case.scenario == scenario]
