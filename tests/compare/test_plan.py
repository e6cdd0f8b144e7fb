from collections import Counter

import pytest

from loadtest.compare import plan
from loadtest.compare.plan import DEFAULT_VARIANTS, LOADS, Case, make
from loadtest.scenarios import SCENARIOS


def test_each_variant_meets_each_load_once() -> None:
    cells = make(1).cells()
    loads = [("saturate", 1), ("saturate", 50), ("saturate", 500), ("conversation", 30)]
    wanted = {(variant, *load) for variant in ("single", "threaded", "asyncio") for load in loads}
    assert {(cell.variant, cell.case.scenario, cell.case.clients) for cell in cells} == wanted
    assert [cell.number for cell in cells] == list(range(1, 13))


def test_the_order_is_the_seeds() -> None:
    assert make(7).cells() == make(7).cells()
    assert len({make(seed).cells() for seed in range(20)}) == 20


def test_variants_are_interleaved_in_every_order() -> None:
    for seed in range(50):
        cells = make(seed).cells()
        for first in range(0, len(cells), len(DEFAULT_VARIANTS)):
            block = cells[first : first + len(DEFAULT_VARIANTS)]
            assert {cell.variant for cell in block} == set(DEFAULT_VARIANTS)
            assert len({cell.case for cell in block}) == 1


def test_nobody_is_always_first() -> None:
    first = Counter(make(seed).cells()[0].variant for seed in range(300))
    assert min(first[variant] for variant in DEFAULT_VARIANTS) > 60


def test_the_default_fits_into_two_minutes_with_two_seconds_around_each_cell() -> None:
    cells = make(1).cells()
    assert sum(cell.case.warmup + cell.case.seconds + 2 for cell in cells) <= 120


def test_choices_replace_the_defaults() -> None:
    plan = make(1, scenarios=["saturate"], clients=[2, 4], seconds=9, variants=["asyncio"])
    assert [(case.scenario, case.clients, case.seconds) for case in plan.cases] == [
        ("saturate", 2, 9),
        ("saturate", 4, 9),
    ]
    assert {cell.variant for cell in plan.cells()} == {"asyncio"}


def test_every_scenario_can_be_compared_and_nothing_else_is_named() -> None:
    assert set(LOADS) == set(SCENARIOS)
    assert set(plan._USUAL) <= set(SCENARIOS)


@pytest.mark.parametrize(
    ("scenario", "clients"),
    [("churn", 50), ("crowd", 1000), ("slow-client", 30), ("io-bound", 50), ("cpu-bound", 10)],
)
def test_clients_unless_the_user_says_otherwise(scenario: str, clients: int) -> None:
    (case,) = make(1, scenarios=[scenario]).cases
    assert (case.scenario, case.clients) == (scenario, clients)
    assert case.warmup >= 1
    assert case.seconds >= 3


def test_the_single_server_has_been_through_its_queue_before_the_window() -> None:
    """One wait, or the dawdling, of each client that is before the last one."""
    (waits,) = make(1, scenarios=["io-bound"]).cases
    assert waits.warmup >= waits.clients * SCENARIOS["io-bound"].amount / 1000
    (slow,) = make(1, scenarios=["slow-client"]).cases
    assert slow.warmup > SCENARIOS["slow-client"].dawdle
    (crowd,) = make(1, scenarios=["crowd"]).cases
    assert crowd.warmup >= SCENARIOS["crowd"].think * (1 - SCENARIOS["crowd"].think_spread)


def test_the_ceiling_is_measured_only_on_request() -> None:
    assert make(1).ceiling is None
    assert make(1, ceiling=True).ceiling == Case("saturate", 50, 1, 3)
    assert make(1, ceiling=True, clients=[7], seconds=2).ceiling == Case("saturate", 50, 1, 2)
    assert make(1, ceiling=True).cells() == make(1).cells()
