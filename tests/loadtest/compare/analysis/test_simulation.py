"""The published error rates: what they promise, and that a simulation of another seed finds them again."""

from math import sqrt
from typing import Any

import pytest

from loadtest.compare.analysis.sessions import SPREAD
from tests.loadtest.compare.analysis.simulation import MACHINES, METHODS, TAKEN, published, sides, two_modes, verdict

PUBLISHED = published()
FEWER = 500


def named(part: str, *keys: str) -> list[Any]:
    return [pytest.param(row, id="-".join(str(row[key]) for key in keys)) for row in PUBLISHED[part]]


def agree(told: Any, found: Any, number: int) -> bool:
    """Return whether two shares differ by no more than four standard errors, and two cases."""
    if isinstance(told, dict):
        return all(agree(each, found[name], number) for name, each in told.items())
    error = sqrt(max(told * (1 - told), found * (1 - found)) * (1 / number + 1 / FEWER))
    return bool(abs(told - found) <= 4 * error + 2 / FEWER)


def test_what_is_published_keeps_its_promises() -> None:
    for row in PUBLISHED["verdict"]:
        assert row["different"] <= 0.02
        assert row["covered"] >= 0.98
        assert max(row["equivalent_though"].values()) <= 0.002
    for row in PUBLISHED["modes"]:
        assert row["one"] <= 0.01
    for row in PUBLISHED["sides"]:
        assert row["alarms"] <= (0.01 if row["spread"] == SPREAD else 0.015)


def test_every_machine_and_method_is_published() -> None:
    machines = [each.name for each in MACHINES]
    assert [(row["machine"], row["repeats"]) for row in PUBLISHED["verdict"]] == [
        (name, repeats) for name in machines for repeats in (10, 20)
    ]
    assert {(row["method"], row["machine"]) for row in PUBLISHED["methods"]} == {
        (method, name) for method in METHODS for name in machines
    }


def test_the_estimator_taken_finds_most_or_nearly() -> None:
    """On no machine does another find clearly more of 10 % with ten repeats."""
    found = {(row["method"], row["machine"]): row["found"]["10 %"] for row in PUBLISHED["methods"]}
    for machine in MACHINES:
        best = max(found[method, machine.name] for method in METHODS)
        assert found[TAKEN, machine.name] >= best - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("row", named("verdict", "machine", "repeats"))
def test_a_verdicts_error_rates_are_found_again(row: dict[str, Any]) -> None:
    [machine] = [each for each in MACHINES if each.name == row["machine"]]
    found = verdict(machine, row["repeats"], FEWER, seed=77)
    for name in ("different", "covered", "found", "equivalent", "equivalent_though"):
        assert agree(row[name], found[name], row["sessions"]), name


@pytest.mark.slow
@pytest.mark.parametrize("row", named("modes", "runs", "noise"))
def test_two_modes_are_told_as_often(row: dict[str, Any]) -> None:
    found = two_modes(row["runs"], row["noise"], FEWER, seed=77)
    for name in ("one", "two"):
        assert agree(row[name], found[name], row["sessions"]), name


@pytest.mark.slow
@pytest.mark.parametrize("row", named("sides", "sessions", "spread"))
def test_sessions_alarm_and_find_as_often(row: dict[str, Any]) -> None:
    found = sides(row["sessions"], row["spread"], FEWER, seed=77)
    for name in ("alarms", "found"):
        assert agree(row[name], found[name], row["comparisons"]), name
