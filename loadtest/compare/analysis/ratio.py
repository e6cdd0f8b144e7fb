"""
The ratio of two candidates' runs, and its interval, whatever the distribution of the runs.

Both estimators are Hodges and Lehmann's ("Estimates of location based on rank tests", Annals of Mathematical Statistics
34, 1963). Paired: the ratio within each repeat, and the geometric means of each two of these; its interval is that of
Wilcoxon's signed-rank test. What slows both runs of a repeat cancels out. Unpaired: each run of one divided by each
of the other; its interval is that of Mann and Whitney's test. It is narrower where the two have nothing in common.
`of_repeats` takes the narrower of the two, which depends on the runs' spread and not on their difference.

The choice, and how often each is wrong, by simulation: tests/loadtest/compare/analysis/simulation.py; the figures are
in error_rates.json, and in loadtest/README.md.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import inf, sqrt
from typing import Final

from loadtest.compare.analysis.bootstrap import CONFIDENCE, Interval, raised

FEWEST_PAIRS: Final = 8  # pairs from which on the signed-rank test has an interval of CONFIDENCE
_Estimator = Callable[[Sequence[float], Sequence[float]], Interval]


def of_repeats(
    ours: Sequence[float], theirs: Sequence[float], our_bounds: Sequence[bool] = (), their_bounds: Sequence[bool] = ()
) -> Interval:
    """Return the ratio of `ours` to `theirs`, of which each two at the same place are of one repeat."""
    return _estimated((paired, unpaired), (ours, our_bounds), (theirs, their_bounds))


def of_sides(
    ours: Sequence[float], theirs: Sequence[float], our_bounds: Sequence[bool] = (), their_bounds: Sequence[bool] = ()
) -> Interval:
    """Return the ratio of `ours` to `theirs`, which were not measured in turns."""
    return _estimated((unpaired,), (ours, our_bounds), (theirs, their_bounds))


def _estimated(
    estimators: Sequence[_Estimator],
    one: tuple[Sequence[float], Sequence[bool]],
    other: tuple[Sequence[float], Sequence[bool]],
) -> Interval:
    """
    Return the narrowest ratio of two sides: values, and which of them are lower bounds.

    With bounds, the interval holds that of each estimator: which one is narrower depends on what the bounds hide.
    """
    ours, theirs = one[0], other[0]
    best = min((each(ours, theirs) for each in estimators), key=lambda each: each.high / each.low if each.low else inf)
    if not any(one[1]) and not any(other[1]):
        return best
    lows = (each(ours, raised(*other)).low for each in estimators)
    highs = (each(raised(*one), theirs).high for each in estimators)
    return Interval(best.value, min(lows), max(highs))


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the ratio of runs of which each two at the same place are of one repeat; open with few pairs."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    means = [_mean(one, other) for place, one in enumerate(ratios) for other in ratios[place:]]
    return _interval(sorted(means), _of_signed_rank(len(ratios)))


def unpaired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return the ratio of two candidates' runs in any order; open with few runs."""
    ratios = sorted(one / other for one in ours for other in theirs)
    return _interval(ratios, _of_rank_sum(len(ours), len(theirs)))


def _mean(one: float, other: float) -> float:
    """Return the geometric mean; exactly `one` if they are equal."""
    return one if one == other else sqrt(one) * sqrt(other)


def _interval(ordered: Sequence[float], outside: int) -> Interval:
    """Return the middle of sorted ratios, and the interval that leaves so many of them out on each side."""
    if not ordered:
        raise ValueError("there is no run to take a ratio of")
    value = _mean(ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2])
    if not outside:
        return Interval(value, 0.0, inf)
    return Interval(value, ordered[outside - 1], ordered[-outside])


@lru_cache
def _of_signed_rank(pairs: int) -> int:
    """Return how many means are left out on each side, from the test's exact distribution."""
    ways = [1]
    for rank in range(1, pairs + 1):
        ways = [one + other for one, other in zip(ways + [0] * rank, [0] * rank + ways, strict=True)]
    return _outside(ways)


@lru_cache
def _of_rank_sum(ours: int, theirs: int) -> int:
    """Return how many ratios are left out on each side, from the test's exact distribution."""
    top = ours * theirs
    ways = [1] + [0] * top
    for rank in range(1, ours + 1):  # the Gaussian binomial coefficient, a factor after another
        for place in range(top, theirs + rank - 1, -1):
            ways[place] -= ways[place - theirs - rank]
        for place in range(rank, top + 1):
            ways[place] += ways[place - rank]
    return _outside(ways)


def _outside(ways: Sequence[int]) -> int:
    most = sum(ways) * (1 - CONFIDENCE) / 2
    return sum(passed <= most for passed in accumulate(ways))
