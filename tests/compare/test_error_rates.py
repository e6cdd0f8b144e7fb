"""
How often the verdict errs, by a thousand simulated comparisons of each kind.

The runs are drawn from what was measured (spread.py), and from spreads made up to be as wide as the verdict promises
to cope with. The seeds are fixed: it is the method that is tested, not luck.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp
from random import Random

import pytest

from loadtest.compare.judge import judgement
from loadtest.compare.judge.judgement import Answer, Sample, judge
from tests.compare.spread import Spread, kept

COMPARISONS = 1_000
SLOWER = 1.2
"""Each request takes a fifth longer. (A fifth off the rate is a little more, and is found more often.)"""
PROMISED = 0.07
"""Standard deviation from run to run up to which ten runs find that."""


def imagined(name: str, wide: float, outliers: int = 0) -> Spread:
    """Return 10,000 runs that differ by `wide`; so many `outliers` of them reach 85 % of the speed only."""
    chance = Random(7)
    runs = [exp(chance.gauss(0, wide)) for _ in range(10_000)]
    return Spread("imagined", name, 0, (*(0.85 * run for run in runs[:outliers]), *runs[outliers:]))


MEASURED = kept()
STEADY = [spread for spread in MEASURED if spread.figure != "response_p99_us"]
UNSTEADY = [spread for spread in MEASURED if spread.figure == "response_p99_us"]
"""The tail of the latencies differs more from run to run: of it, no more is promised than that nothing is guessed."""
IMAGINED = [imagined("as wide as promised", PROMISED), imagined("a tenth are outliers", 0.04, 1_000)]


def named(spreads: Sequence[Spread]) -> list[object]:
    return [pytest.param(spread, id=spread.name.replace(" ", "-")) for spread in spreads]


def answers(spread: Spread, factor: float) -> Counter[str]:
    """Count the answers on servers one of which has `factor` times the other's value; "upside down" among them."""
    chance = Random(4)
    found = Counter[str]()
    for _ in range(COMPARISONS):
        ours = tuple(factor * run for run in chance.choices(spread.deviations, k=judgement.MIN_RUNS))
        theirs = tuple(chance.choices(spread.deviations, k=judgement.MIN_RUNS))
        judged = judge(Sample(ours), Sample(theirs))
        found[judged.answer] += 1
        found["upside down"] += judged.answer is Answer.DIFFERENT and (judged.ratio or 0) < 1 < factor
    assert not found[Answer.INDICATIVE]
    return found


def test_some_of_what_was_measured_is_steady_and_some_is_not() -> None:
    assert STEADY
    assert UNSTEADY
    assert max(spread.wide for spread in STEADY) <= PROMISED
    assert all(len(spread.deviations) >= 20 for spread in MEASURED)


@pytest.mark.parametrize("spread", named([*MEASURED, *IMAGINED]))
def test_equal_servers_are_hardly_ever_called_different(spread: Spread) -> None:
    assert answers(spread, 1)[Answer.DIFFERENT] <= 0.02 * COMPARISONS


@pytest.mark.parametrize("spread", named([*STEADY, *IMAGINED]))
def test_a_server_that_takes_a_fifth_longer_is_found(spread: Spread) -> None:
    assert answers(spread, SLOWER)[Answer.DIFFERENT] >= 0.95 * COMPARISONS


@pytest.mark.parametrize("spread", named([*STEADY, *IMAGINED]))
def test_servers_more_than_the_margin_apart_are_hardly_ever_called_equivalent(spread: Spread) -> None:
    assert answers(spread, judgement.MARGIN + 0.01)[Answer.EQUIVALENT] <= 0.01 * COMPARISONS


@pytest.mark.parametrize("spread", named(UNSTEADY))
def test_where_the_runs_differ_too_much_it_cannot_tell_and_does_not_guess(spread: Spread) -> None:
    found = answers(spread, SLOWER)
    assert found["upside down"] + found[Answer.EQUIVALENT] <= 0.01 * COMPARISONS
