"""Reading a load run's result."""

from loadtest.compare.measure import load
from tests.loadtest.compare import results


def test_a_result_has_shares_and_the_longest_wait() -> None:
    shared = {"jain": 0.25, "longest_wait_seconds": 9.5, "longest_wait_at_least": True}
    found = load.read(results.load("single", "saturate", 4, served=1, fairness=shared))
    assert (found.jain, found.longest_wait, found.longest_wait_at_least) == (0.25, 9.5, True)


def test_a_result_without_replies_has_no_fairness() -> None:
    nobody = {"jain": None, "longest_wait_seconds": None, "longest_wait_at_least": False}
    found = load.read(results.load("single", "saturate", 4, served=0, fairness=nobody))
    assert (found.jain, found.longest_wait, found.longest_wait_at_least) == (None, None, False)


def test_a_result_says_when_its_figures_settled() -> None:
    kept = results.load("asyncio", "saturate", 4)
    assert load.read(kept | {"settled_seconds": 0.75}).settled == 0.75
    assert load.read(kept | {"settled_seconds": None}).settled is None
    assert load.read(kept).settled is None, "an older result"
