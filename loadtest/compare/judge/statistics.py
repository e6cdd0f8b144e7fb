"""Quantiles of what was answered and what was not, as bounds instead of guesses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Histogram = Mapping[int, int]
"""How often each duration occurred, by whole microseconds of three significant figures."""

TOLERANCE = 1.05
"""
A quantile that the unanswered requests can raise by no more than this factor is shown as it is, without '>='.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    Where a quantile lies, in microseconds.

    low: its value if all that was unanswered had been answered the moment the window ended. high: if it never
    were; None for endless.
    samples: how many durations, finished or not, it was taken from.
    """

    low: int
    high: int | None
    samples: int

    @property
    def open(self) -> bool:
        """Whether it may as well be considerably more than `low`."""
        return self.high is None or self.high > self.low * TOLERANCE


def merge(*histograms: Histogram) -> dict[int, int]:
    """Return the exact sum of histograms."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for duration, count in histogram.items():
            total[duration] = total.get(duration, 0) + count
    return total


def quantile(finished: Histogram, unfinished: Histogram, q: float) -> Bounds | None:
    """
    Return the bounds of the `q` quantile (0 < q <= 1, nearest rank); None if there are no durations.

    unfinished: the ages, at the window's end, of what was waiting for its answer then: each of them lasted at
    least that long.
    """
    everything = merge(finished, unfinished)
    samples = sum(everything.values())
    if not samples:
        return None
    rank = max(1, math.ceil(q * samples - 1e-9))
    low = _at(everything, rank)
    if low is None:  # cannot be: rank <= samples
        return None
    return Bounds(low, _at(finished, rank), samples)


def _at(histogram: Histogram, rank: int) -> int | None:
    """Return the `rank`-th smallest duration, counted from 1, or None if there are fewer."""
    seen = 0
    for duration in sorted(histogram):
        seen += histogram[duration]
        if seen >= rank:
            return duration
    return None
