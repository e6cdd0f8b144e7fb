"""Every fair pair: which candidate is better, and when neither is."""

from collections.abc import Sequence
from typing import Any

import pytest

from loadtest.compare.analysis.pairwise import all_pairs, fair
from loadtest.compare.analysis.significance import Answer
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.plan import CLOSED
from loadtest.scenarios import SCENARIOS
from tests.loadtest.compare.results import comparison, several_runs


def compared(*some: list[dict[str, Any]]) -> dict[str, tuple[Answer, str]]:
    """Return answer and better one by measure, of two candidates under one load."""
    found = all_pairs(summaries(comparison(*(each for runs in some for each in runs))))
    return {each.measure: (each.significance.answer, each.better) for each in found}


def test_more_requests_and_less_else_are_better() -> None:
    found = compared(several_runs(10, "threaded"), several_runs(10, "asyncio", verified=[120_000] * 10))
    assert found == {
        "requests_per_second": (Answer.DIFFERENT, "asyncio"),
        "cpu_us": (Answer.DIFFERENT, "asyncio"),  # the same time for more requests
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        (range(4), (), Answer.CANNOT_TELL),
        (range(6, 10), (), Answer.CANNOT_TELL),  # above the median, which they don't move
        ((), range(6, 10), Answer.CANNOT_TELL),
        ((0, 9), (0, 9), Answer.CANNOT_TELL),
        ((), (), Answer.EQUIVALENT),
    ],
)
def test_runs_at_the_generators_limit_are_not_equivalent(
    ours: Sequence[int], theirs: Sequence[int], answer: Answer
) -> None:
    """Some runs are only lower bounds: the servers may really be a third apart."""
    rates = [99_000 + 200 * run for run in range(10)]
    some = [
        several_runs(10, name, verified=rates, generator_busy=[0.95 if run in bounds else 0.5 for run in range(10)])
        for name, bounds in (("threaded", ours), ("asyncio", theirs))
    ]
    assert compared(*some)["requests_per_second"][0] is answer


def test_nine_runs_are_no_verdict() -> None:
    found = compared(several_runs(9, "threaded"), several_runs(10, "asyncio", verified=[120_000] * 10))
    assert {answer for answer, _ in found.values()} == {Answer.INDICATIVE}


def test_a_run_excluded_is_not_counted() -> None:
    warning = [{"name": "stolen-time", "detail": "d", "hint": "r"}]
    found = compared(
        several_runs(10, "threaded", load_warnings=[warning, *([[]] * 9)]),
        several_runs(10, "asyncio", verified=[120_000] * 10),
    )
    assert {answer for answer, _ in found.values()} == {Answer.INDICATIVE}


def test_a_slow_generator_makes_the_verdict_abstain() -> None:
    both = [
        several_runs(10, name, generator_cpu=0.97, verified=[number] * 10)
        for name, number in (("threaded", 100_000), ("asyncio", 120_000))
    ]
    every = all_pairs(summaries(comparison(*(each for runs in both for each in runs))))
    [speed] = [each for each in every if each.measure == "requests_per_second"]
    assert (speed.significance.answer, speed.better) == (Answer.CANNOT_TELL, "")
    assert "the generator, not the server, was at its limit" in speed.significance.why


def drifting(name: str, factor: float) -> list[dict[str, Any]]:
    """Make ten runs on a machine that lost a fifth of its speed, by and by."""
    own = (30, -20, 10, -40, 20, 40, -10, 0, -30, 10)
    rates = [100_000 * (1 - run / 45) + own[run if factor == 1 else -run] for run in range(10)]
    return several_runs(10, name, verified=[round(factor * rate) for rate in rates])


def test_a_common_drift_hides_no_difference() -> None:
    assert compared(drifting("threaded", 1), drifting("asyncio", 1.06))["requests_per_second"] == (
        Answer.DIFFERENT,
        "asyncio",
    )
    assert compared(drifting("threaded", 1), drifting("asyncio", 1.001))["requests_per_second"][0] is Answer.EQUIVALENT


def first_replies(name: str, number: int, took: int) -> list[dict[str, Any]]:
    return several_runs(10, name, "conversation", 30, histograms={"first_reply": {str(took): number}})


@pytest.mark.parametrize(
    ("ours", "theirs", "answer"),
    [
        ((400, 900), (100, 600), Answer.CANNOT_TELL),  # of more the slowest is slower by itself
        ((100, 900), (400, 600), Answer.DIFFERENT),
        ((400, 900), (390, 600), Answer.DIFFERENT),
        ((400, 900), (5_000, 600), Answer.CANNOT_TELL),  # the slowest beside a p99
        ((5_000, 900), (400, 600), Answer.DIFFERENT),
        ((400, 600), (100, 600), Answer.CANNOT_TELL),
        ((400, 600), (400, 600), Answer.EQUIVALENT),
        ((5_000, 600), (600, 600), Answer.EQUIVALENT),
    ],
)
def test_the_slowest_of_more_is_no_difference(ours: tuple[int, int], theirs: tuple[int, int], answer: Answer) -> None:
    found = compared(first_replies("threaded", *ours), first_replies("asyncio", *theirs))["first_p99_us"]
    assert found == (answer, "asyncio" if answer is Answer.DIFFERENT else "")


@pytest.mark.parametrize("served", [1, 49])
def test_unserved_clients_outweigh_the_others_speed(served: int) -> None:
    found = all_pairs(
        summaries(
            comparison(
                *several_runs(10, "threaded", served=served, clients=50),
                *several_runs(10, "asyncio", verified=[80_000] * 10),
            )
        )
    )
    for each in found:
        if each.measure in {"requests_per_second", "cpu_us"} and each.significance.runs == (10, 10):
            assert (each.significance.answer, each.better) == (Answer.CANNOT_TELL, "")
            assert f"threaded served {served} of 50 clients only" in each.significance.why


@pytest.mark.parametrize("scenario", [SCENARIOS[name] for name in CLOSED], ids=CLOSED)
def test_only_fair_measures_of_a_scenario_are_judged(scenario: Any) -> None:
    measures = fair(scenario)
    # If pauses set the rate, it is not a speed; a client that asks once has no later reply.
    assert ("requests_per_second" in measures) == (scenario.name in {"saturate", "churn", "io-bound", "cpu-bound"})
    assert ("response_p99_us" in measures) == (scenario.name in {"conversation", "slow-client"})
    assert ("resident_bytes" in measures) == (scenario.name == "crowd")
