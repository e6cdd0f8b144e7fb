"""
Whether the runs of two candidates differ: different, equivalent, or cannot tell.

The runs of one repeat stand next to each other in time, so that they are compared as pairs where there are any
(ratio.py). One of a hundred comparisons of equal servers may still be called different: expect a few among hundreds.
How often, and which differences are found, is in error_rates.json, by a simulation of runs as real ones are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite
from typing import Final, Literal, Self

from loadtest.compare.analysis import bootstrap, ratio
from loadtest.compare.plan import MIN_RUNS

MARGIN: Final = 1.05
"""
The factor, up or down, by which equivalent candidates may differ: 1 / 1.05 and not 0.95, so that order does not matter.
"""

GENERATOR_LIMIT: Final = "the generator, not the server, was at its limit"  # why a top speed is only a lower bound
UNANSWERED: Final = "requests were still unanswered when the window ended"  # why a latency is only a lower bound


class Answer(StrEnum):
    """The answer of the runs; INDICATIVE, from too few runs, is not a verdict."""

    DIFFERENT = "different"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"
    INDICATIVE = "indicative"


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One measure of one candidate: a value for each valid run, all above 0 (ValueError), in any unit.

    bounds: which of them are lower bounds; () for none. limit: why, in words. repeats: which repeat each is of; () if
    the two sides were not measured in turns.
    """

    values: tuple[float, ...]
    bounds: tuple[bool, ...] = ()
    limit: str = GENERATOR_LIMIT
    repeats: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        wrong = [value for value in self.values if not (isfinite(value) and value > 0)]
        if wrong:
            raise ValueError(f"a ratio takes values above 0, not {wrong[0]}")
        if self.bounds and len(self.bounds) != len(self.values):
            raise ValueError(f"{len(self.bounds)} bounds of {len(self.values)} values")

    def of(self, repeats: Sequence[int]) -> Self:
        """Return the runs of these repeats, in this order."""
        places = [self.repeats.index(each) for each in repeats]
        values = tuple(self.values[place] for place in places)
        bounds = tuple(self.bounds[place] for place in places) if self.bounds else ()
        return replace(self, values=values, bounds=bounds, repeats=tuple(repeats))


def is_bound(values: Sequence[float], bounds: Sequence[bool]) -> bool:
    """Whether lower bounds among `values` could raise the median."""
    return any(bounds) and bootstrap.middle(bootstrap.raised(values, bounds)) > bootstrap.middle(values)


@dataclass(frozen=True, slots=True)
class Significance:
    """
    An answer and its reasons.

    ratio: of ours to theirs (ratio.py), which may differ a little from that of the medians; None if meaningless. bound:
    its true value may be more (">=") or less ("<="); "" if it is exact. low, high: its interval of
    bootstrap.CONFIDENCE; None for an open end, and both None without a verdict, because a few runs have none. runs:
    ours and theirs. why: why there is no clearer answer, in words; "" if the interval shows it.
    """

    answer: Answer
    ratio: float | None
    low: float | None
    high: float | None
    runs: tuple[int, int]
    why: str = ""
    bound: Literal["", ">=", "<="] = ""


def compare_runs(ours: Sample, theirs: Sample) -> Significance:
    """
    Return whether `ours` and `theirs` differ; the order of the runs does not matter.

    An interval within MARGIN makes them equivalent even if it excludes 1: any two servers differ a little, too little
    to base a choice on. Lower bounds among the runs open the interval, ours upwards and theirs downwards; the answer
    then holds for any true values.
    """
    runs = len(ours.values), len(theirs.values)
    enough = min(runs) >= MIN_RUNS
    few = "" if enough else f"{runs[0]} and {runs[1]} valid runs, where a verdict takes {MIN_RUNS} of each"
    if not all(runs):
        return Significance(Answer.INDICATIVE, None, None, None, runs, few)
    found = _ratio(ours, theirs)
    low = found.low if found.low > 0 else None
    high = found.high if found.high < inf else None
    up, down = (is_bound(each.values, each.bounds) for each in (ours, theirs))
    if up and down and (not enough or (low is None and high is None)):
        limits = " and ".join(dict.fromkeys((ours.limit, theirs.limit)))
        answer = Answer.CANNOT_TELL if enough else Answer.INDICATIVE
        return Significance(answer, None, None, None, runs, f"on both sides: {limits}")
    bound: Literal["", ">=", "<="] = "" if up == down else ">=" if up else "<="
    if not enough:
        return Significance(Answer.INDICATIVE, found.value, None, None, runs, few, bound)
    answer, why = answer_of(low, high)
    if low is None or high is None:
        why = ours.limit if high is None else theirs.limit
    return Significance(answer, found.value, low, high, runs, why, bound)


def _ratio(ours: Sample, theirs: Sample) -> bootstrap.Interval:
    """Return the ratio by the runs of the same repeats, or by all where too few are."""
    both = [each for each in ours.repeats if each in theirs.repeats]
    if len(both) < ratio.FEWEST_PAIRS:
        return ratio.of_sides(ours.values, theirs.values, ours.bounds, theirs.bounds)
    one, other = ours.of(both), theirs.of(both)
    return ratio.of_repeats(one.values, other.values, one.bounds, other.bounds)


def answer_of(low: float | None, high: float | None, unit: str = "runs") -> tuple[Answer, str]:
    """Return an interval's answer, and why it is not clearer; None: an open end. unit: what the interval is over."""
    apart = (low is not None and low > 1) or (high is not None and high < 1)
    if low is not None and high is not None and low >= 1 / MARGIN and high <= MARGIN:
        return Answer.EQUIVALENT, f"they differ, but by less than {MARGIN - 1:.0%}" if apart else ""
    if apart:
        return Answer.DIFFERENT, ""
    return Answer.CANNOT_TELL, f"equal or more than {MARGIN - 1:.0%} apart: the {unit} differ too much among themselves"
