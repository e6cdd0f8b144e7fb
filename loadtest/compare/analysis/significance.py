"""
Whether the runs of two candidates differ: different, equivalent, or cannot tell.

The percentile bootstrap of medians was chosen by simulation, because its errors are rare enough and the report shows it
anyway. Of 2,000 comparisons of each kind, in per cent: equal servers called different, a missed server that takes 20 %
longer, servers 6 % apart called equivalent; SD is the standard deviation between runs, outliers are a tenth of the runs
at 85 % of the speed:

    spread from run to run   10 runs a side     5 runs a side     3 runs a side
    normal, SD 2 %           0.1   0.0  0.0     0.9   0.0  0.1     5.5   0.0  1.8
    normal, SD 4 %           0.4   0.0  0.1     1.6   0.2  0.2    10.6   0.7  1.9
    normal, SD 6 %           0.4   0.1  0.1     1.6  10.3  0.0    10.9  10.6  0.8
    normal, SD 7 %           0.4   1.1  0.0     1.6  21.6  0.0    11.1  19.9  0.5
    normal, SD 8 %           0.4   5.6  0.0     1.6  34.1  0.0    11.1  29.1  0.3
    SD 2 % and outliers      0.8   1.1  0.0     1.2  15.9  0.0     7.3  11.4  0.8
    SD 4 % and outliers      0.8   3.3  0.0     1.3  22.9  0.1     9.2  15.8  1.1
    skewed, SD 4 %           0.2   0.0  0.0     1.7   3.5  0.1     7.8   2.0  1.4

So ten runs find 20 % up to an SD of 7 %; if the runs differ more, there are more of them (stopping_rule.py). A drift
counts as spread, too: if the two sides were measured in turns it causes no difference, but may hide one. (This does not
hold if only one side has lost the runs of a bad hour.)

The alternatives, with ten runs: BCa is no better. Hesterberg's expanded percentiles ("What teachers should know about
the bootstrap", The American Statistician 69, 2015) miss 27 % at SD 8 %, and 7 % and more with outliers. Medians of the
ratios of neighbouring runs call 1.4 % to 2.5 % of equal servers different. Student's t on logarithms and the interval
of Mann and Whitney miss half as many at SD 8 %, but don't concern the medians in the table.

One of a hundred comparisons of equal servers may still be called different, so expect a few among hundreds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite
from typing import Final, Literal

from loadtest.compare.analysis import bootstrap
from loadtest.compare.plan import MIN_RUNS

MARGIN: Final = 1.05
"""
The factor, up or down, by which equivalent candidates may differ: 1 / 1.05 and not 0.95, so that order does not matter.
"""

GENERATOR_LIMIT: Final = "the generator, not the server, was at its limit"
"""Why a top speed is only a lower bound."""

UNANSWERED: Final = "requests were still unanswered when the window ended"
"""Why a latency is only a lower bound."""


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

    bounds: which of them are lower bounds; () for none. limit: why, in words.
    """

    values: tuple[float, ...]
    bounds: tuple[bool, ...] = ()
    limit: str = GENERATOR_LIMIT

    def __post_init__(self) -> None:
        wrong = [value for value in self.values if not (isfinite(value) and value > 0)]
        if wrong:
            raise ValueError(f"a ratio takes values above 0, not {wrong[0]}")
        if self.bounds and len(self.bounds) != len(self.values):
            raise ValueError(f"{len(self.bounds)} bounds of {len(self.values)} values")

    @property
    def is_bound(self) -> bool:
        """Whether the median is only a lower bound."""
        return is_bound(self.values, self.bounds)


def is_bound(values: Sequence[float], bounds: Sequence[bool]) -> bool:
    """Whether lower bounds among `values` could raise the median."""
    return any(bounds) and bootstrap.middle(bootstrap.raised(values, bounds)) > bootstrap.middle(values)


@dataclass(frozen=True, slots=True)
class Significance:
    """
    An answer and its reasons.

    ratio: of the medians, ours to theirs; None if meaningless. bound: its true value may be more (">=") or less ("<=");
    "" if it is exact. low, high: its interval of bootstrap.CONFIDENCE; None for an open end, and both None without a
    verdict, because an interval from a few runs is too narrow. runs: ours and theirs. why: why there is no clearer
    answer, in words; "" if the interval shows it.
    """

    answer: Answer
    ratio: float | None
    low: float | None
    high: float | None
    runs: tuple[int, int]
    why: str = ""
    bound: Literal["", ">=", "<="] = ""


def compare_medians(ours: Sample, theirs: Sample) -> Significance:
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
    found = bootstrap.ratio(ours.values, theirs.values, ours.bounds, theirs.bounds)
    low = found.low if found.low > 0 else None
    high = found.high if found.high < inf else None
    up, down = ours.is_bound, theirs.is_bound
    if up and down and (not enough or (low is None and high is None)):
        limits = " and ".join(dict.fromkeys((ours.limit, theirs.limit)))
        answer = Answer.CANNOT_TELL if enough else Answer.INDICATIVE
        return Significance(answer, None, None, None, runs, f"on both sides: {limits}")
    bound: Literal["", ">=", "<="] = "" if up == down else ">=" if up else "<="
    if not enough:
        return Significance(Answer.INDICATIVE, found.value, None, None, runs, few, bound)
    answer, why = _answer(low, high)
    if low is None or high is None:
        why = ours.limit if high is None else theirs.limit
    return Significance(answer, found.value, low, high, runs, why, bound)


def _answer(low: float | None, high: float | None) -> tuple[Answer, str]:
    """Return an interval's answer, and why it is not clearer; None: an open end."""
    apart = (low is not None and low > 1) or (high is not None and high < 1)
    if low is not None and high is not None and low >= 1 / MARGIN and high <= MARGIN:
        return Answer.EQUIVALENT, f"they differ, but by less than {MARGIN - 1:.0%}" if apart else ""
    if apart:
        return Answer.DIFFERENT, ""
    return Answer.CANNOT_TELL, f"equal or more than {MARGIN - 1:.0%} apart: the runs differ too much among themselves"
