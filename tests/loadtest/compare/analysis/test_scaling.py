"""What a server sustains by its cores, on simulated results; and the machines that can't tell."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from loadtest.compare.analysis.scaling import Gain, gain, scalings
from loadtest.compare.candidates import LAB
from loadtest.compare.conditions import under
from loadtest.compare.report.besides_runs import by_cores
from tests.loadtest.compare.results import comparison, swept

RATES = [float(rate) for rate in range(1000, 9001, 500)]
QUICK, SLOW = 1_000, 60_000
WHOLE = [[20.0] * 5 + [20.5] * 5, [20.0] * 5 + [20.5] * 5]
"""Calibrations of four cores for the server and one for the load, each of which is nearly a whole one."""

HALVES = [[20.0] * 5 + [40.0] * 5, [20.0] * 5 + [40.0] * 5]


def simulated(limits: Mapping[str, Mapping[int, float]], calibration: Any = WHOLE, repeats: int = 10) -> dict[str, Any]:
    """Make a result in which servers sustain so many requests per second on so many cores, 5 % up or down by run."""
    chance = random.Random(5)
    some = [each for name, by_cores in limits.items() for each in under([LAB[name]], cores=[*by_cores])]
    runs = []
    for repeat in range(1, repeats + 1):
        drift = chance.uniform(0.95, 1.05)
        for each in some:
            limit = limits[each.variant][each.cores] * drift
            replies = {rate: QUICK if rate <= limit else SLOW for rate in RATES}
            runs += swept(each.name, replies, repeat=repeat, server_cpu=10.0)
    found = comparison(*({**run, "calibration": calibration} for run in runs))
    found["plan"] |= {"candidates": [each.as_json() for each in some], "slo": "p99<20ms"}
    return found


def test_more_cores_sustain_more() -> None:
    result = simulated({"prefork": {1: 2100, 2: 4100, 4: 8100}, "asyncio": {1: 2100, 4: 2100}})
    alone, forked = scalings(result)
    assert (alone.label, forked.label, forked.clients) == ("asyncio on uvloop", "prefork on uvloop", 50)
    assert [each.cores for each in forked.points] == [1, 2, 4]
    assert [each.rate.value for each in forked.points] == [2000, 4000, 8000]
    assert [each.times.value for each in forked.points] == [None, 2.0, 4.0]
    assert forked.slope == pytest.approx(1.0)
    assert alone.points[1].times.value == 1.0
    assert alone.slope == pytest.approx(0.0)
    assert forked.points[0].cpu_us.value == 100.0


def test_two_of_as_many_cores_are_no_scaling() -> None:
    """One program under two names (--python a=P --python b=P)."""
    result = simulated({"asyncio": {1: 2100, 4: 2100}})
    result["plan"]["candidates"][1]["cores"] = 1
    assert scalings(result) == []


def test_the_slope_is_told_in_words() -> None:
    machine, alone, forked = by_cores(simulated({"asyncio": {1: 2100, 4: 2100}, "prefork": {1: 2100, 4: 8100}}))
    assert machine.startswith("this machine's 5 cores at once gave 4.9 times what one gives alone")
    assert alone.startswith("asyncio on uvloop, 50 clients: 1 core sustains 2,000 requests/s (")
    assert alone.endswith("CPU per request 100, 100 us; a core more adds 0.00 of what the first one gives")
    assert "; 4 cores 4 times that (" in forked
    assert forked.endswith("a core more adds 1.00 of what the first one gives")


def test_few_repeats_are_indicative() -> None:
    _, said = by_cores(simulated({"prefork": {1: 2100, 2: 4100}}, repeats=3))
    assert said.endswith("(indicative: 3 runs)")


def test_a_rate_that_nothing_missed_has_no_slope() -> None:
    [found] = scalings(simulated({"prefork": {1: 2100, 2: 20_000}}))
    assert found.points[1].rate.at_least
    assert found.slope is None


def test_half_cores_claim_nothing() -> None:
    result = simulated({"prefork": {1: 2100, 4: 4100}}, HALVES)
    assert by_cores(result) == [
        "this machine's 5 cores at once gave 2.5 times what one gives alone: here nothing can be said of how a server"
        " scales"
    ]


def test_without_calibration_nothing_is_claimed() -> None:
    [said] = by_cores(simulated({"prefork": {1: 2100, 4: 8100}}, []))
    assert "was not measured" in said


def test_the_machine_of_the_audit_tells_nothing() -> None:
    """Two of its cores gave 1.2 times one."""
    assert not Gain(2, 1.2).tells
    assert Gain(2, 1.7).tells


def test_servers_on_one_core_have_no_section() -> None:
    result = comparison(*swept("asyncio", {1000: QUICK, 2000: SLOW}))
    assert scalings(result) == []
    assert by_cores(result) == []
    assert gain(result) is None
