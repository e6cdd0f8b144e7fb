"""Histograms of durations in integer microseconds, to three significant figures; merging them is exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, NamedTuple

Histogram = dict[int, int]
"""Counts by microseconds, rounded by `bucket`."""


def bucket(microseconds: int) -> int:
    """Return microseconds rounded to three significant figures: at most 0.5 % off, exact below 1000."""
    if microseconds < 1000:
        return microseconds
    if microseconds < 10_000:
        return (microseconds + 5) // 10 * 10
    step = 100
    while microseconds >= step * 1000:
        step *= 10
    return (microseconds + step // 2) // step * step


def count_progression(histogram: Histogram, first: int, step: int, number: int) -> None:
    """Count `number` durations first, first + step, ... (nanoseconds), one bucket at a time: there may be millions."""
    while number > 0:
        key = bucket(first // 1000)
        low, high = first, first + step * (number - 1)  # find the last one in this bucket
        if bucket(high // 1000) == key:
            count(histogram, first // 1000, number)
            return
        while high - low > step:
            middle = low + (high - low) // (2 * step) * step
            if bucket(middle // 1000) == key:
                low = middle
            else:
                high = middle
        some = (low - first) // step + 1
        count(histogram, first // 1000, some)
        first += some * step
        number -= some


def count(histogram: Histogram, microseconds: int, number: int = 1) -> None:
    """Count a duration `number` times."""
    key = bucket(microseconds)
    histogram[key] = histogram.get(key, 0) + number


def merge(into: dict[Any, int], other: Mapping[Any, int]) -> None:
    """Add counts to counts."""
    for key, value in other.items():
        into[key] = into.get(key, 0) + value


class Quantile(NamedTuple):
    """A quantile in microseconds. at_least: unanswered requests could raise it, so show it with '>='."""

    microseconds: int
    at_least: bool


TOLERANCE: Final = 1.05
"""A quantile that unanswered requests can raise by this factor at most is shown without '>='."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    Where a quantile lies, in microseconds.

    low: its value if all open requests had been answered when the window ended. high: if they never were; None for
    endless. samples: the number of durations, finished or not.
    """

    low: int
    high: int | None
    samples: int

    @property
    def open(self) -> bool:
        """Whether it may be considerably more than `low`."""
        return self.high is None or self.high > self.low * TOLERANCE


def quantile(
    histogram: Mapping[int, int], fraction: float, censored: Mapping[int, int] | None = None
) -> Quantile | None:
    """
    Return the smallest duration that at least `fraction` (0 < fraction <= 1) of all don't exceed; None without any.

    censored: ages of unanswered requests, counted as durations; at_least if longer ones would change the result.
    """
    found = bounded_quantile(histogram, censored or {}, fraction)
    return None if found is None else Quantile(found.low, found.high != found.low)


def bounded_quantile(finished: Mapping[int, int], unfinished: Mapping[int, int], fraction: float) -> Bounds | None:
    """
    Return the bounds of a quantile (0 < fraction <= 1, nearest rank); None without durations.

    unfinished: ages of unanswered requests at the window's end; each lasted at least that long.
    """
    pooled = dict(finished)
    merge(pooled, unfinished)
    samples = sum(pooled.values())
    rank = max(1, ceil(fraction * samples - 1e-9))  # 0.99 * 100 may be 99.00000000000001
    low = _ranked(pooled, rank)
    return None if low is None else Bounds(low, _ranked(finished, rank), samples)


def _ranked(histogram: Mapping[int, int], rank: int) -> int | None:
    """Return the duration at `rank` (from 1) in ascending order; None if there are fewer."""
    for key in sorted(histogram):
        rank -= histogram[key]
        if rank <= 0:
            return key
    return None
