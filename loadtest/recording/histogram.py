"""Durations as histograms in integer microseconds, to three significant figures; merging them loses nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, NamedTuple

Histogram = dict[int, int]
"""Count by microseconds, as `bucket` rounds them."""


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
    """
    Count the durations first, first + step, ... , `number` of them, in nanoseconds, each rounded as `bucket` does.

    In as many turns as there are buckets among them, for a schedule that is far behind owes millions.
    """
    while number > 0:
        key = bucket(first // 1000)
        low, high = first, first + step * (number - 1)  # find the last of the progression in this bucket
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
    """Count a duration, so many times."""
    key = bucket(microseconds)
    histogram[key] = histogram.get(key, 0) + number


def merge(into: dict[Any, int], other: Mapping[Any, int]) -> None:
    """Add counts to counts; nothing is lost by it, in whatever order."""
    for key, value in other.items():
        into[key] = into.get(key, 0) + value


class Quantile(NamedTuple):
    """
    A quantile in microseconds.

    at_least: requests that were never answered could move it upwards: to be shown with '>='.
    """

    microseconds: int
    at_least: bool


TOLERANCE: Final = 1.05
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


def quantile(
    histogram: Mapping[int, int], fraction: float, censored: Mapping[int, int] | None = None
) -> Quantile | None:
    """
    Return the smallest duration that at least `fraction` (0 < fraction <= 1) of all don't exceed; None without any.

    censored: ages of the unanswered. They count at their age; if the answer would be another one had they taken
    for ever, it is marked.
    """
    found = bounded_quantile(histogram, censored or {}, fraction)
    return None if found is None else Quantile(found.low, found.high != found.low)


def bounded_quantile(finished: Mapping[int, int], unfinished: Mapping[int, int], fraction: float) -> Bounds | None:
    """
    Return the bounds of a quantile (0 < fraction <= 1, nearest rank); None if there are no durations.

    unfinished: the ages, at the window's end, of what was waiting for its answer then: each of them lasted at
    least that long.
    """
    pooled = dict(finished)
    merge(pooled, unfinished)
    samples = sum(pooled.values())
    rank = max(1, ceil(fraction * samples - 1e-9))  # 0.99 * 100 is 99.00000000000001 in some orders of arithmetic
    low = _ranked(pooled, rank)
    return None if low is None else Bounds(low, _ranked(finished, rank), samples)


def _ranked(histogram: Mapping[int, int], rank: int) -> int | None:
    """Return the duration at `rank` (from 1) in order of size; None if there are fewer."""
    for key in sorted(histogram):
        rank -= histogram[key]
        if rank <= 0:
            return key
    return None
