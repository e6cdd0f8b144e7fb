"""Decides which further runs a verdict needs, by the runs' spread alone, never by their differences."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from loadtest.compare.analysis.pairwise import fair
from loadtest.compare.analysis.significance import MARGIN
from loadtest.compare.analysis.summary import Estimate, Summary
from loadtest.compare.plan import MIN_RUNS

STEADY: Final = MARGIN**2
"""
The largest ratio of the ends of a median's interval: each end is within MARGIN of the middle.

This is narrow enough to call two equal servers equivalent, and to find a difference of a fifth. Stopping at a fixed
width hardly causes more wrong verdicts, as stopping at a difference would (fixed-width intervals: Chow and Robbins, "On
the asymptotic theory of fixed-width sequential confidence intervals for the mean", Annals of Mathematical Statistics
36, 1965); tests/loadtest/compare/analysis/test_error_rates.py counts them.
"""

MOST_RUNS: Final = 2 * MIN_RUNS
"""The most runs of each; then the answer is "cannot tell", or stays as wide."""

MADE_UP: Final = 3
"""The most runs that replace excluded ones, for a machine that is never quiet."""


def further(every: Sequence[Summary]) -> list[list[Summary]]:
    """
    Return what to run once more: for each load a list of candidates to run one after another; [] if nothing.

    every: sorted summaries. If one candidate's runs differ too much, all candidates of that load run again, because
    candidates that are not measured in turns may differ by the time of day. Loads that were not planned for a verdict
    get no further runs; nor do rates, of which a sweep has some at which runs differ as much as they can.
    """
    rounds = []
    freely = (each for each in every if not each.workload.rate)
    for _, some in groupby(freely, key=lambda each: each.workload):
        load = list(some)
        unsteady = any(_is_unsteady(each) for each in load)
        due = [each for each in load if _is_short(each) or (unsteady and each.valid and each.attempts < MOST_RUNS)]
        if due:
            rounds.append(due)
    return rounds


def is_wide(estimate: Estimate) -> bool:
    """Return whether further runs would improve it; they don't improve a lower bound."""
    if not estimate.is_interval or estimate.at_least or estimate.low is None or estimate.high is None:
        return False
    return estimate.high > estimate.low * STEADY


def _is_unsteady(summary: Summary) -> bool:
    return any(is_wide(summary[name]) for name in fair(summary.scenario)) and summary.attempts < MOST_RUNS


def _is_short(summary: Summary) -> bool:
    return summary.runs < MIN_RUNS <= summary.attempts < MIN_RUNS + MADE_UP
