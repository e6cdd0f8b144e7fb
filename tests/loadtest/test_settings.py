"""Settings of a run, from Locust's options."""

from dataclasses import replace
from typing import Any

import pytest

from loadtest import settings
from loadtest.scenarios import DEFAULT, SCENARIOS

OPTIONS: dict[str, Any] = {"scenario": DEFAULT, "arrivals": "poisson"}

NOTHING_CHOSEN: dict[str, Any] = {
    **dict.fromkeys(("think", "rate", "sweep", "clients", "num_users")),
    "scenario": DEFAULT,
    "shape": "auto",
}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "tour"),
        ({"clients": 30}, None),
        ({"num_users": 8}, None),
        ({"scenario": "slow-client"}, None),
        ({"think": "0.1"}, None),
        ({"rate": "300"}, None),
        ({"sweep": "100,200"}, None),
        ({"shape": "none"}, None),
        ({"shape": "tour", "clients": 30}, "tour"),
        ({"shape": "spike", "scenario": "crowd"}, "spike"),
    ],
)
def test_without_another_choice_the_load_is_the_tour(chosen: dict[str, Any], expected: str | None) -> None:
    assert settings.shape(NOTHING_CHOSEN | chosen) == expected


@pytest.mark.parametrize(("size", "expected"), [(None, 4096), ("", 4096), ("200", 200), (200, 200)])
def test_a_scenarios_own_size_holds_without_another(
    size: object, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCENARIOS, DEFAULT, replace(SCENARIOS[DEFAULT], size=4096))
    assert settings.read(OPTIONS | {"size": size}).scenario.size == expected


@pytest.mark.parametrize("size", ["39", "65001", "many"])
def test_a_size_out_of_range_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="from 40 to 65000"):
        settings.read(OPTIONS | {"size": size})


SWEEP = {"scenario": "saturate", "arrivals": "poisson", "sweep": "10,20", "warmup": "5"}


@pytest.mark.parametrize("seconds", [1, 5])
def test_a_sweep_needs_time_beyond_its_warmup(seconds: int) -> None:
    with pytest.raises(ValueError, match="--sweep shares the run time after the warm-up among its rates"):
        settings.read(SWEEP | {"run_time": seconds})
    settings.read(SWEEP | {"sweep": "", "rate": "10", "run_time": seconds})


@pytest.mark.parametrize("seconds", [None, 0, 6])
def test_an_endless_sweep_has_its_own_time(seconds: int | None) -> None:
    settings.read(SWEEP | {"run_time": seconds})


@pytest.mark.parametrize(
    ("scenario", "more", "settles"),
    [
        ("saturate", {}, True),
        ("rates", {"rate": "10"}, True),
        ("saturate", {"think": "0.01"}, False),
        ("crowd", {}, False),
        ("crowd", {"rate": "10"}, True),
        ("conversation", {}, False),
        ("conversation", {"rate": "10"}, False),
        ("slow-client", {}, False),
    ],
)
def test_figures_settle_where_clients_always_ask(scenario: str, more: dict[str, str], settles: bool) -> None:
    assert settings.read({"scenario": scenario, "arrivals": "poisson", **more}).scenario.settles is settles
