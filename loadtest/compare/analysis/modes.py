"""
Whether runs fall into two groups, such as 8.9 and 10.6 us of a server that is in one of two states for a whole process.

A median then is in one group or the other by chance, and its interval reaches from one to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt
from statistics import fmean, median
from typing import Final

from loadtest.compare.analysis.significance import MARGIN

FEWEST: Final = 8  # runs from which on groups are told from chance
LEAST_SHARE: Final = 0.2  # the least share of the runs, and two at least, that make a group: fewer are outliers

GAP: Final = 44
"""
The least gap between the groups, in standard deviations within them, times the number of runs.

Found by simulation: of ten and more runs of one group with normal spread, it shows in less than one of a hundred
(error_rates.json), and in 2 to 5 of a hundred where their spread is flat or has a long tail.
"""


@dataclass(frozen=True, slots=True)
class Groups:
    """Two groups of runs: the median of each, and how many there are."""

    low: float
    high: float
    runs: tuple[int, int]


def groups(values: Sequence[float]) -> Groups | None:
    """Return the two groups that runs fall into; None if they don't, or if no one would choose by the difference."""
    if len(values) < FEWEST or min(values) <= 0:
        return None
    ordered = sorted(log(each) for each in values)
    least = max(2, ceil(LEAST_SHARE * len(ordered)))
    gap, place = max((ordered[at] - ordered[at - 1], at) for at in range(least, len(ordered) - least + 1))
    low, high = ordered[:place], ordered[place:]
    squares = sum((each - fmean(some)) ** 2 for some in (low, high) for each in some)
    if gap * len(ordered) < GAP * sqrt(squares / (len(ordered) - 2)) or exp(median(high) - median(low)) < MARGIN:
        return None
    return Groups(exp(median(low)), exp(median(high)), (len(low), len(high)))
