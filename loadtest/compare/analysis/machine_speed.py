"""Finds the runs before or after which the machine was faster or slower than it usually was in a comparison."""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import fmean, median
from typing import Any, Final

from loadtest.compare.analysis.measures import process_of
from loadtest.run_warnings import RunWarning, warning

FEWEST: Final = 10  # processes from which on it is known what is usual
LEAST: Final = 0.03  # the least deviation that is one: less never changed a verdict
_NORMAL: Final = 1.4826  # times the median absolute deviation, of a normal distribution its standard deviation
_RANGE: Final = 2.576  # standard deviations to either side that hold 99 % of a normal distribution


def changes(result: Mapping[str, Any]) -> dict[int, RunWarning]:
    """
    Return a warning for each run, by number, at which the machine's speed was beyond its 99 % range.

    A run has calibrations before and after it (measure/calibration.py); the range is that of the comparison's own. The
    spread comes from the median absolute deviation, which a few slow minutes don't widen.
    """
    taken = {
        process_of(run): [took for each in run.get("calibration") or [] for took in each] for run in result["runs"]
    }
    by_shape: dict[int, dict[int, list[float]]] = {}
    for process, each in taken.items():
        if each:
            by_shape.setdefault(len(each), {})[process] = each  # servers on one core, on two, ...
    told = {process: changed for some in by_shape.values() for process, changed in _changes(some).items()}
    return {run["number"]: told[process_of(run)] for run in result["runs"] if process_of(run) in told}


def _changes(known: Mapping[int, Sequence[float]]) -> dict[int, RunWarning]:
    """Return a warning for each process, of those on equally many cores, at which the machine's speed had changed."""
    if len(known) < FEWEST:
        return {}
    usual = [median(column) for column in zip(*known.values(), strict=True)]
    found = {
        process: fmean(log(took / norm) for took, norm in zip(each, usual, strict=True))
        for process, each in known.items()
    }
    middle = median(found.values())
    spread = _NORMAL * median(abs(each - middle) for each in found.values())
    limit = max(log(1 + LEAST), _RANGE * spread)
    return {
        process: warning(
            "machine-changed",
            f"a fixed piece of work took {exp(each - middle) - 1:+.0%} of its usual time before and after it"
            f" (up to {exp(limit) - 1:.0%} is usual in this comparison)",
        )
        for process, each in found.items()
        if abs(each - middle) > limit
    }
