"""
Whether two sides differ of which each has several sessions: comparisons apart in time, each a value of its own.

Sessions of one server differ by some per cent for reasons that no run within a session shows, so that a session and not
a run is the unit. Student's t on logarithms, with the spread between sessions pooled over both sides; because three
sessions hardly tell a spread, SPREAD counts as PRIOR further degrees of freedom (Box and Tiao, "Bayesian Inference in
Statistical Analysis", 1973). Alarms and power are in error_rates.json, and in loadtest/README.md.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import atan, cos, exp, fsum, log, pi, sin, sqrt
from statistics import fmean
from typing import Final

from loadtest.compare.analysis.significance import Answer, Significance, answer_of

FEWEST: Final = 3  # sessions of each side that a verdict takes
RISK: Final = 0.005  # chance that equal sides differ by any measure: half of the promise, as spreads aren't normal
SPREAD: Final = 0.03  # the standard deviation between sessions of one server, as it was seen
PRIOR: Final = 2  # degrees of freedom of SPREAD: with more, sessions that differ twice as much alarm too often


def compare_sessions(ours: Sequence[float], theirs: Sequence[float], measures: int) -> Significance:
    """
    Return whether two sides differ by one of so many measures.

    ours, theirs: a value above 0 for each session. The interval holds for all measures together.
    """
    sessions = len(ours), len(theirs)
    if not all(sessions):
        return Significance(Answer.INDICATIVE, None, None, None, sessions, "no session of one side has it")
    one, other = ([log(each) for each in side] for side in (ours, theirs))
    middle = fmean(one) - fmean(other)
    if min(sessions) < FEWEST:
        few = f"{sessions[0]} and {sessions[1]} sessions have it, where a verdict takes {FEWEST} of each"
        return Significance(Answer.INDICATIVE, exp(middle), None, None, sessions, few)
    freedom = sum(sessions) - 2 + PRIOR
    squares = fsum((each - fmean(side)) ** 2 for side in (one, other) for each in side)
    spread = sqrt((squares + PRIOR * SPREAD**2) / freedom)
    reach = _student(RISK / measures / 2, freedom) * spread * sqrt(1 / sessions[0] + 1 / sessions[1])
    low, high = exp(middle - reach), exp(middle + reach)
    answer, why = answer_of(low, high, "sessions")
    return Significance(answer, exp(middle), low, high, sessions, why)


@lru_cache
def _student(tail: float, freedom: int) -> float:
    """Return the value that Student's t exceeds with a chance of `tail`."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(middle, freedom) > tail else (low, middle)
    return high


def _beyond(value: float, freedom: int) -> float:
    """Return the chance that Student's t exceeds a value (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = atan(value / sqrt(freedom))
    odd = freedom % 2
    term = total = (cos(angle) if odd else 1.0) if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cos(angle) ** 2 * (step - 1) / step
        total += term
    within = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return (1 - within) / 2
