"""The textbook's table: each claim, on both sides of its threshold."""

import re
from typing import Any

import pytest

from loadtest.compare.analysis import claims
from loadtest.compare.analysis.claims import CLAIMS, METHODS
from tests.loadtest.compare.results import comparison, several_runs


def found(*some: list[dict[str, Any]], **changes: Any) -> dict[tuple[str, str], tuple[str, str]]:
    """Return mark and words by method and claim."""
    nothing: dict[str, Any] = {"memory": [], "capacity": []}
    result = comparison(*(each for runs in some for each in runs), **{**nothing, **changes})
    return {(each.method, each.claim): (each.found.mark, each.found.said) for each in claims.table(result)}


def slope(candidate: str, value: float, reach: float = 100.0) -> dict[str, Any]:
    price = {"value": value, "low": value - reach, "high": value + reach, "base": 26e6, "r2": 1.0, "why": ""}
    return {"candidate": candidate, "problem": "", "silent": price, "spoken": price, "threads": price, "note": ""}


def bracket(candidate: str, low: int, high: int | None) -> dict[str, Any]:
    return {"candidate": candidate, "slo": "p99<50ms", "low": low, "high": high, "why": "", "contradictions": []}


def test_without_a_measurement_every_claim_abstains() -> None:
    table = claims.table(comparison(*several_runs(1, "asyncio", "churn"), memory=[], capacity=[]))
    assert len(table) == len(CLAIMS)
    assert {each.found.mark for each in table} == {"abstains"}
    assert all(each.found.said.startswith("not measured: ") for each in table)


def test_every_method_has_a_claim_about_what_matters() -> None:
    for method in METHODS:
        aspects = {claim.aspect for claim in CLAIMS if claim.method == method}
        assert {"number of clients", "a slow client", "resource use"} <= aspects
        assert len(aspects & {claims.ONE, claims.MANY_AT_ONCE}) == 1


@pytest.mark.parametrize(
    ("cost", "mark"), [(13.0, "agrees"), (10.0, "disagrees"), (8.0, "disagrees")], ids=["dearer", "as dear", "cheaper"]
)
def test_single_is_slow_if_dearer_than_both(cost: float, mark: str) -> None:
    every = found(
        several_runs(10, "single", clients=1, server_cpu=cost),
        several_runs(10, "threaded", clients=1),
        several_runs(10, "asyncio", clients=1),
    )
    assert every["single", "slow"][0] == mark


def test_nine_runs_settle_no_speed() -> None:
    few = [several_runs(9, name, clients=1, server_cpu=13.0 if name == "single" else 10.0) for name in METHODS]
    mark, said = found(*few)["single", "slow"]
    assert mark == "abstains"
    assert said.endswith("9 valid runs, where a verdict takes 10")


def test_one_at_a_time_always_serves_one() -> None:
    claim = ("single", "one at a time")
    assert found(several_runs(10, "single", served=1))[claim][0] == "agrees"
    assert found(several_runs(10, "single", served=[1] * 9 + [2]))[claim][0] == "disagrees"
    several = ("threaded", "several at once")
    assert found(several_runs(10, "threaded", served=2))[several][0] == "agrees"
    assert found(several_runs(10, "threaded", served=[50] * 9 + [1]))[several][0] == "disagrees"


@pytest.mark.parametrize("cost", [8.0, 10.0, 13.0, 20.0])
@pytest.mark.parametrize("served", [1, 600, 1000])
def test_a_short_window_settles_nothing_about_many_clients(cost: float, served: int) -> None:
    for method, claim in (
        ("threaded", "up to about 1,000"),
        ("asyncio", "1,000 and more"),
        ("asyncio-stdlib", "1,000 and more"),
    ):
        many = several_runs(10, method, clients=1000, server_cpu=cost, served=served, connected=1000)
        capacity = [bracket(method, 4096, 5000)]
        mark, said = found(several_runs(10, method), many, capacity=capacity)[method, claim]
        assert mark == "abstains"
        assert f"served {served:,} of 1,000" in said
        assert "within p99<50ms it had 4,096 to 5,000 clients" in said
        assert "no verdict: who is served in a window of 10 s says little of a longer one" in said


def test_both_loops_of_asyncio_have_their_claims() -> None:
    costs = {"threaded": 10.0, "asyncio": 9.0, "asyncio-stdlib": 20.0}
    every = found(*(several_runs(10, name, server_cpu=cost) for name, cost in costs.items()))
    assert every["asyncio", "fast"][0] == "agrees"
    assert every["asyncio-stdlib", "fast"][0] == "disagrees"
    assert METHODS["asyncio"] == "asyncio on uvloop"
    assert METHODS["asyncio-stdlib"] == "asyncio on the standard library's loop"


def test_no_row_mixes_loads_each_says_its_own() -> None:
    loads = [several_runs(10, name, clients=count) for name in METHODS for count in (1, 50)]
    result = comparison(*(each for runs in loads for each in runs), memory=[], capacity=[])
    for aspect, load in (("speed with 1 client", "with 1 client"), ("speed with 50 clients", "with 50 clients")):
        said = [each.found.said for each in claims.table(result) if each.aspect == aspect]
        assert said
        for each in said:
            assert set(re.findall(r"with \d+ clients?", each)) == {load}
            assert "of 30 clients" not in each


def test_nothing_is_said_of_a_models_simplicity() -> None:
    words = " ".join((*claims.ASPECTS, *(claim.says for claim in CLAIMS)))
    assert "simpl" not in words
    assert "hardest" not in words


def test_who_waits_for_the_one_that_stalls() -> None:
    def waits(method: str, microseconds: int) -> list[dict[str, Any]]:
        replies = {"response": {"200": 100}, "first_reply": {str(microseconds): 100}}
        return several_runs(10, method, "slow-client", 30, histograms=replies)

    long, short = found(waits("single", 2_000_000)), found(waits("single", 3_000))
    assert (long["single", "hangs it"][0], short["single", "hangs it"][0]) == ("agrees", "disagrees")
    long, short = found(waits("asyncio", 2_000_000)), found(waits("asyncio", 3_000))
    assert (long["asyncio", "holds nobody up"][0], short["asyncio", "holds nobody up"][0]) == ("disagrees", "agrees")


def test_memory_is_settled_by_separate_intervals() -> None:
    claim = ("asyncio", "fewer than threads")
    apart = [slope("threaded", 40_000), slope("asyncio", 5_000)]
    assert found(several_runs(1, "asyncio"), memory=apart)[claim] == (
        "agrees",
        "asyncio on uvloop 5 kB a client (4.9 to 5.1); threaded 40 kB a client (39.9 to 40.1)",
    )
    assert found(
        several_runs(1, "asyncio"), memory=list(reversed([slope("asyncio", 40_000), slope("threaded", 5_000)]))
    )[claim][0] == ("disagrees")
    assert found(several_runs(1, "asyncio"), memory=[slope("threaded", 5_100, 200), slope("asyncio", 5_000, 200)])[
        claim
    ][0] == ("abstains")


def test_for_whom_is_settled_by_separate_brackets() -> None:
    apart = [bracket("single", 1, 2), bracket("threaded", 2000, 2500), bracket("asyncio", 5000, None)]
    every = found(several_runs(1, "asyncio"), capacity=apart)
    assert every["asyncio", "busy servers"] == (
        "agrees",
        "clients within p99<50ms: single 1 to 2; threaded 2,000 to 2,500; asyncio on uvloop >=5,000",
    )
    assert every["single", "tests, or rare clients"][0] == "agrees"
    alike = [bracket("single", 1, 2), bracket("threaded", 5000, None), bracket("asyncio", 5000, None)]
    assert found(several_runs(1, "asyncio"), capacity=alike)["asyncio", "busy servers"][0] == "abstains"
