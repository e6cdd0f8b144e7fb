"""What became better or worse from one result to another."""

from typing import Any

from loadtest.compare.judge.differences import differences, text
from tests.compare.results import cell, comparison

SLOWER = [8_000 + 20 * number for number in range(10)]
FASTER = [10_000 + 20 * number for number in range(10)]


def runs(rates: list[int], **changes: Any) -> dict[str, Any]:
    """Make a comparison with a run for each of these rates."""
    cells = [cell("asyncio", repeat=number, verified=10 * rate) for number, rate in enumerate(rates, 1)]
    return comparison(*cells, **changes)


def told(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    found = differences(before, after)
    return {"worse": [each.figure for each in found.worse], "better": [each.figure for each in found.better]}


def test_fewer_requests_are_worse_and_more_are_better() -> None:
    # The server's processor time is the same, so that a request costs more where there were fewer.
    assert told(runs(FASTER), runs(SLOWER)) == {"worse": ["requests_per_second", "cpu_us"], "better": []}
    assert told(runs(SLOWER), runs(FASTER)) == {"worse": [], "better": ["requests_per_second", "cpu_us"]}
    said = text(differences(runs(FASTER), runs(SLOWER)))
    assert (
        "seems worse: asyncio on uvloop, saturate, 50 clients: requests/s 0.80 times what it was (99 % interval 0.7"
        in said
    )
    assert said.isascii()


def test_the_same_is_neither() -> None:
    assert told(runs(FASTER), runs(FASTER)) == {"worse": [], "better": []}
    assert "seems alike: asyncio on uvloop, saturate, 50 clients: requests/s 1.00 times what it was" in text(
        differences(runs(FASTER), runs(FASTER))
    )


def test_a_few_runs_make_nothing_worse() -> None:
    found = differences(runs(FASTER[:3]), runs(SLOWER[:3]))
    assert (found.worse, found.better) == ((), ())
    assert "too few runs: asyncio on uvloop, saturate, 50 clients: requests/s 0.80 times what it was" in text(found)


def test_what_only_one_has_measured_is_named() -> None:
    found = differences(runs(FASTER), comparison(cell("threaded", clients=7)))
    assert found.found == ()
    assert found.only_before == ("asyncio on uvloop, saturate, 50 clients",)
    assert found.only_after == ("threaded, saturate, 7 clients",)


def test_another_machine_is_said() -> None:
    other = runs(FASTER)
    other["machine"] = {**other["machine"], "cpu": "a faster one"}
    assert "Not the same circumstances: the processor differs: " in text(differences(runs(FASTER), other))
    assert differences(runs(FASTER), runs(FASTER)).elsewhere == ()
