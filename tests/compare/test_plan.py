from collections import Counter

from loadtest.compare.plan import ALL_VARIANTS, make


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
        for first in range(0, len(cells), len(ALL_VARIANTS)):
            block = cells[first : first + len(ALL_VARIANTS)]
            assert {cell.variant for cell in block} == set(ALL_VARIANTS)
            assert len({cell.case for cell in block}) == 1


def test_nobody_is_always_first() -> None:
    first = Counter(make(seed).cells()[0].variant for seed in range(300))
    assert min(first[variant] for variant in ALL_VARIANTS) > 60


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
