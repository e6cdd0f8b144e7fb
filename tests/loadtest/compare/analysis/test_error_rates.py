"""
The verdict's error rates, in a thousand simulated comparisons of each kind.

The runs are drawn from measured spreads (spread.py), and from the widest spreads that the verdict promises to handle;
as many as a comparison would make (stopping_rule.py). The seeds are fixed, to test the method and not chance.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp
from random import Random

import pytest

from loadtest.compare.analysis import bootstrap, significance
from loadtest.compare.analysis.significance import Answer, Sample, compare_runs
from loadtest.compare.analysis.stopping_rule import MOST_RUNS, is_wide
from loadtest.compare.plan import MIN_RUNS
from tests.loadtest.compare.analysis.spread import Spread, kept

pytestmark = pytest.mark.slow

COMPARISONS = 1_000
SLOWER = 1.2
"""Each request takes a fifth longer. (A fifth off the rate is a little more, and is found more often.)"""
PROMISED = 0.1
"""Standard deviation from run to run up to which that is found."""
TOO_WIDE = 0.2
"""One with which a comparison ends and can't tell, as often as not."""


def imagined(name: str, wide: float, outliers: int = 0) -> Spread:
    """Return 10,000 runs that differ by `wide`; so many `outliers` of them reach 85 % of the speed only."""
    chance = Random(7)
    runs = [exp(chance.gauss(0, wide)) for _ in range(10_000)]
    return Spread("imagined", name, 0, (*(0.85 * run for run in runs[:outliers]), *runs[outliers:]))


MEASURED = kept()
IMAGINED = [imagined("as wide as promised", PROMISED), imagined("a tenth are outliers", 0.04, 1_000)]
HOPELESS = [imagined("too wide", TOO_WIDE)]


def named(spreads: Sequence[Spread]) -> list[object]:
    return [pytest.param(spread, id=spread.name.replace(" ", "-")) for spread in spreads]


def compared(spread: Spread, factor: float, chance: Random) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the runs of two servers, drawn as long as a comparison goes on."""
    ours = [factor * run for run in chance.choices(spread.deviations, k=MIN_RUNS)]
    theirs = chance.choices(spread.deviations, k=MIN_RUNS)
    while len(ours) < MOST_RUNS and goes_on(ours, theirs):
        ours.append(factor * chance.choice(spread.deviations))
        theirs.append(chance.choice(spread.deviations))
    return tuple(ours), tuple(theirs)


def goes_on(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Return whether a comparison would add runs (stopping_rule.py)."""
    medians = [bootstrap.median(each) for each in (ours, theirs)]
    found = compare_runs(sample(ours), sample(theirs))
    return any(is_wide(each.low, each.high) for each in medians) and is_wide(found.low, found.high)


def sample(runs: Sequence[float]) -> Sample:
    return Sample(tuple(runs), repeats=tuple(range(len(runs))))


def answers(spread: Spread, factor: float) -> Counter[str]:
    """Count the answers on servers one of which has `factor` times the other's value; "upside down" among them."""
    chance = Random(4)
    found = Counter[str]()
    for _ in range(COMPARISONS):
        ours, theirs = compared(spread, factor, chance)
        told = compare_runs(sample(ours), sample(theirs))
        found[told.answer] += 1
        found["upside down"] += told.answer is Answer.DIFFERENT and (told.ratio or 0) < 1 < factor
    assert not found[Answer.INDICATIVE]
    return found


def test_measured_runs_are_steady_but_for_one_tail() -> None:
    assert all(len(spread.deviations) >= 20 for spread in MEASURED)
    wide = [spread.name for spread in MEASURED if spread.wide > PROMISED]
    assert wide == ["twin response_p99_us"]


@pytest.mark.parametrize("spread", named([*MEASURED, *IMAGINED, *HOPELESS]))
def test_equal_servers_are_hardly_ever_called_different(spread: Spread) -> None:
    assert answers(spread, 1)[Answer.DIFFERENT] <= 0.02 * COMPARISONS


@pytest.mark.parametrize("spread", named([*MEASURED, *IMAGINED]))
def test_a_server_a_fifth_slower_is_found(spread: Spread) -> None:
    assert answers(spread, SLOWER)[Answer.DIFFERENT] >= 0.95 * COMPARISONS


@pytest.mark.parametrize("spread", named([*MEASURED, *IMAGINED]))
def test_servers_beyond_the_margin_are_rarely_equivalent(spread: Spread) -> None:
    assert answers(spread, significance.MARGIN + 0.01)[Answer.EQUIVALENT] <= 0.01 * COMPARISONS


@pytest.mark.parametrize("spread", named(HOPELESS))
def test_widely_spread_runs_cannot_tell(spread: Spread) -> None:
    found = answers(spread, SLOWER)
    assert found["upside down"] + found[Answer.EQUIVALENT] <= 0.01 * COMPARISONS
