"""Decides which further runs a verdict needs, by the runs' spread alone, never by their differences."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from loadtest.compare.analysis.pairwise import all_pairs, fair
from loadtest.compare.analysis.significance import MARGIN
from loadtest.compare.analysis.summary import Summary
from loadtest.compare.plan import MIN_RUNS

STEADY: Final = MARGIN**2
"""
The largest ratio of the ends of an interval: each end is within MARGIN of the middle.

This is narrow enough to call two equal servers equivalent, and to find a difference of a fifth. Stopping at a fixed
width hardly causes more wrong verdicts, as stopping at a difference would (fixed-width intervals: Chow and Robbins, "On
the asymptotic theory of fixed-width sequential confidence intervals for the mean", Annals of Mathematical Statistics
36, 1965); tests/loadtest/compare/analysis/test_error_rates.py counts them.
"""

MOST_RUNS: Final = 2 * MIN_RUNS  # the most runs of each; then the answer is "cannot tell", or stays as wide
MADE_UP: Final = 20  # the most runs that replace excluded ones: on a shared virtual machine every second one was
SWEEPS_MADE_UP: Final = 3  # the same for sweeps, which are long, and for a load of which no run is valid


def further(every: Sequence[Summary]) -> list[list[list[Summary]]]:
    """
    Return what to run once more: for each load the processes, one after another, each with its rates; [] if nothing.

    every: sorted summaries. All candidates of a load run again, because the runs of one repeat are compared as pairs:
    if an excluded run leaves a gap, or if one candidate's runs differ too much, unless every pair is known well enough
    all the same. Loads that were not planned for a verdict get no further runs. Rates run again only because of a gap,
    all of a sweep: at some of them runs differ as much as they can.
    """
    rounds = []
    freely = (each for each in every if not each.workload.rate)
    for _, some in groupby(freely, key=lambda each: each.workload):
        load = list(some)
        unsteady = any(_is_unsteady(each) for each in load) and _is_untold(load)
        due = [each for each in load if each.valid and each.attempts < MOST_RUNS] if unsteady else []
        if _has_gaps(load):
            due = [each for each in load if each.valid] or load
        if due:
            rounds.append([[each] for each in due])
    return [*rounds, *_sweeps(every)]


def _sweeps(every: Sequence[Summary]) -> Iterator[list[list[Summary]]]:
    """Yield the processes of each load at rates that has a gap at one of them."""
    planned = [each for each in every if each.workload.rate and each.attempts >= MIN_RUNS]
    for load in dict.fromkeys(replace(each.workload, rate=None) for each in planned):
        some = [each for each in planned if replace(each.workload, rate=None) == load]
        rates = dict.fromkeys(each.workload.rate for each in some)
        if any(_has_gaps([each for each in some if each.workload.rate == rate]) for rate in rates):
            names = dict.fromkeys(each.candidate.name for each in some)
            yield [[each for each in some if each.candidate.name == name] for name in names]


def is_wide(low: float | None, high: float | None) -> bool:
    """Return whether further runs would improve an interval; they don't improve one that lower bounds leave open."""
    return low is not None and high is not None and high > low * STEADY


def _is_unsteady(summary: Summary) -> bool:
    known = (summary[name] for name in fair(summary.scenario))
    return summary.attempts < MOST_RUNS and any(
        each.is_interval and not each.at_least and is_wide(each.low, each.high) for each in known
    )


def _is_untold(load: Sequence[Summary]) -> bool:
    """Return whether a ratio of two is not known well enough; of one candidate there is none."""
    ratios = [each.significance for each in all_pairs(load)]
    return not ratios or any(is_wide(each.low, each.high) for each in ratios)


def _has_gaps(load: Sequence[Summary]) -> bool:
    """Return whether there are too few repeats in which all have a valid run; of a server that never had one, any."""
    some = [each for each in load if each.valid] or load
    whole = set.intersection(*({run.repeat for run in each.valid} for each in some))
    lasting = all(each.valid and not each.workload.rate for each in load)
    most = MIN_RUNS + (MADE_UP if lasting else SWEEPS_MADE_UP)
    return len(whole) < MIN_RUNS <= max(each.attempts for each in some) < most
