"""The cost of one more client: a straight line through the readings, and the mean of several lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Student's t for a two-sided 99 % interval, by degrees of freedom from 1 (NIST/SEMATECH e-Handbook of Statistical
# Methods, 1.3.6.7.2, column 0.995). The last one stands for all beyond it, which makes an interval a little too wide.
_T99: Final = (
    *(63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169),
    *(3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845),
)

FEWEST: Final = 3
"""The fewest points of a line: two always lie on one."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line: `base` at x = 0, and `slope` more for each x.

    r2: the share of the variation that the line explains (R squared), 1.0 without any.
    """

    slope: float
    base: float
    r2: float


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over runs. low, high: its 99 % interval; None with one run."""

    value: float
    low: float | None
    high: float | None


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """
    Return the line through `points` (x, y) by ordinary least squares.

    Without the slope's standard error: it assumes independent points, but memory adds up (an excess of one step is in
    all later points), so it would be far too small. Repeat the whole series instead, and use `mean`. Raises ValueError
    with fewer than three points, or if all have the same x.
    """
    if len(points) < FEWEST:
        raise ValueError(f"{len(points)} points are too few for a line")
    mean_x = math.fsum(x for x, _ in points) / len(points)
    mean_y = math.fsum(y for _, y in points) / len(points)
    xx = math.fsum((x - mean_x) ** 2 for x, _ in points)
    if xx == 0:
        raise ValueError("all points have the same x")
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / xx
    base = mean_y - slope * mean_x
    total = math.fsum((y - mean_y) ** 2 for _, y in points)
    left = math.fsum((y - base - slope * x) ** 2 for x, y in points)
    return Line(slope, base, max(0.0, 1 - left / total) if total else 1.0)


def mean(values: Sequence[float]) -> Mean:
    """
    Return the mean of independent runs' `values`, with Student's t interval (99 %).

    Student ("The Probable Error of a Mean", Biometrika 6, 1908). A bootstrap of three runs stays within their range,
    which contains the mean in three cases of four. Raises ValueError without values.
    """
    if not values:
        raise ValueError("no runs, no mean")
    runs = len(values)
    middle = math.fsum(values) / runs
    if runs == 1:
        return Mean(middle, None, None)
    deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (runs - 1))
    reach = _T99[min(runs - 1, len(_T99)) - 1] * deviation / math.sqrt(runs)
    return Mean(middle, middle - reach, middle + reach)
