"""Whether a verdict has runs enough, and which it takes besides: by how far they are apart, never by who is ahead."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.significance import MARGIN
from loadtest.compare.analysis.summary import Estimate, Summary
from loadtest.compare.plan import MIN_RUNS

STEADY: Final = MARGIN**2
"""
By what factor the ends of a median's interval may be apart: each within MARGIN of its middle.

That is what it takes to call two equal servers equivalent, and more than it takes to find a fifth. To stop at a width
chosen beforehand hardly makes a verdict err more often, as to stop at a difference would (fixed-width intervals: Chow
and Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals for the mean", Annals of
Mathematical Statistics 36, 1965); tests/loadtest/compare/analysis/test_error_rates.py counts how often.
"""

MOST_RUNS: Final = 2 * MIN_RUNS
"""Runs of each at which it ends all the same: it can't be told then, or not more exactly."""

MADE_UP: Final = 3
"""Runs at most that stand in for those excluded: on a machine that is never quiet, one can't tell."""


def further(every: Sequence[Summary]) -> list[list[Summary]]:
    """
    Return what to run once more: a list for each load, whose candidates are to be run one after another; [] if enough.

    every: summaries, sorted as they are shown. Where the runs of one candidate are too far apart, all of that load are
    run again, for candidates that were not measured in turns may differ by the hour. What was not planned for a verdict
    gets no further runs.
    """
    rounds = []
    for _, some in groupby(every, key=lambda each: each.workload):
        load = list(some)
        unsteady = any(_is_unsteady(each) for each in load)
        due = [each for each in load if _is_short(each) or (unsteady and each.valid and each.attempts < MOST_RUNS)]
        if due:
            rounds.append(due)
    return rounds


def is_wide(estimate: Estimate) -> bool:
    """Return whether further runs would make it tell more; a lower bound tells no more for being exact."""
    if not estimate.is_interval or estimate.at_least or estimate.low is None or estimate.high is None:
        return False
    return estimate.high > estimate.low * STEADY


def _is_unsteady(summary: Summary) -> bool:
    return any(is_wide(summary[name]) for name in fair(summary.scenario)) and summary.attempts < MOST_RUNS


def _is_short(summary: Summary) -> bool:
    return summary.runs < MIN_RUNS <= summary.attempts < MIN_RUNS + MADE_UP
