from collections import Counter
from collections.abc import Sequence

import pytest

from loadtest.compare.candidates import LAB, TEXTBOOK, own
from loadtest.compare.plan import MIN_RUNS, Run, Workload, chosen, indicative, processes, rounded, thorough
from loadtest.scenarios import SCENARIOS

ALL = [LAB[name] for name in TEXTBOOK]


def by_process(runs: Sequence[Run]) -> list[tuple[str, int, list[float | None]]]:
    """Return candidate, clients and rates of each process."""
    return [
        (some[0].candidate, some[0].workload.clients, [run.workload.rate for run in some]) for some in processes(runs)
    ]


def test_the_default_sweeps_the_textbooks_models() -> None:
    plan = indicative(1)
    assert (plan.waits_for_rates, len(plan.runs()), plan.reaching) == (True, 0, ("threaded", "asyncio"))
    runs = plan.at(5000).runs()
    assert [run.number for run in runs] == list(range(1, len(runs) + 1))
    rates = [2500, 3500, 4000, 4500, 5000, 5500]
    swept = Counter((name, clients) for name, clients, each in by_process(runs) if each == rates)
    assert swept == {("threaded", 50): 3, ("asyncio", 50): 3, ("single", 1): 2}
    assert [each for each in by_process(runs) if each[2] != rates] == [("single", 50, [2500])]


def test_the_default_fits_into_ninety_seconds() -> None:
    plan = indicative(1).at(5000)
    lengths = [1.8 + some[0].workload.warmup + len(some) * some[0].workload.seconds for some in processes(plan.runs())]
    reaching = [1.8 + 1 + 1] * len(plan.reaching)
    assert sum(lengths) + sum(reaching) <= 90


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(6789.0, 6800.0), (1234.0, 1230.0), (1999.0, 2000.0), (2345.0, 2300.0), (99.4, 99.0), (0.0456, 0.046)],
)
def test_rates_are_rounded_to_two_figures(rate: float, expected: float) -> None:
    assert rounded(rate) == pytest.approx(expected)


def test_rates_may_be_named_or_shares() -> None:
    named = chosen(1, ALL, scenarios=["rates"], rates=[100.0, 200.0])
    assert (named.waits_for_rates, named.slo) == (False, "p99<20ms")
    assert sorted(by_process(named.runs())) == [
        ("asyncio", 50, [100, 200]),
        ("single", 1, [100, 200]),
        ("threaded", 50, [100, 200]),
    ]
    shared = chosen(1, ALL, scenarios=["saturate"], clients=[7], shares=[0.5, 0.9], slo="p99<5ms")
    assert (shared.waits_for_rates, shared.slo, len(shared.runs())) == (True, "p99<5ms", 0)
    assert sorted(by_process(shared.at(1000).runs())) == [(name, 7, [500, 900]) for name in sorted(TEXTBOOK)]


def test_a_thorough_comparison_suffices_for_a_verdict() -> None:
    runs = thorough(1).at(5000).runs()
    counts = Counter((run.candidate, run.workload.scenario, (run.workload.clients, run.workload.rate)) for run in runs)
    assert {scenario for _, scenario, _ in counts} == set(SCENARIOS)
    for (_, scenario, _), number in counts.items():
        assert number == (3 if scenario == "crowd" else MIN_RUNS)
    # What shows the price of an API or a loop, and is no model of its own, is where nothing else sets the speed.
    assert {scenario for name, scenario, _ in counts if name == "asyncio-stdlib"} == {"saturate", "churn"}
    assert {clients for _, scenario, (clients, _) in counts if scenario == "crowd"} == {1, 10, 100, 1000, 5000}
    at_one_rate = {clients for _, scenario, (clients, rate) in counts if scenario == "rates" and rate == 2500}
    assert at_one_rate == {1, 50, 1000, 5000}
    assert (thorough(1).memory, thorough(1).capacity is not None, thorough(1).ceiling) == (
        True,
        True,
        Workload("saturate", 50, 1, 2),
    )


def test_ones_own_server_meets_every_thorough_load() -> None:
    mine = own("mine=127.0.0.1:7000", 0)
    tasks = thorough(1, [mine]).tasks
    assert all("mine" in task.candidates for task in tasks if task.candidates != ("single",))
    assert thorough(1, [mine]).candidates[-1] == mine


def test_the_order_is_the_seeds() -> None:
    assert indicative(7).at(1).runs() == indicative(7).at(1).runs()
    assert len({indicative(seed).at(1).runs() for seed in range(40)}) > 20


def test_candidates_are_interleaved_a_round_per_repeat() -> None:
    for seed in range(50):
        runs = chosen(seed, ALL, scenarios=["saturate"], clients=[1, 50], repeats=3).runs()
        assert [run.repeat for run in runs] == [1] * 6 + [2] * 6 + [3] * 6
        for first in range(0, len(runs), len(TEXTBOOK)):
            block = runs[first : first + len(TEXTBOOK)]
            assert {run.candidate for run in block} == set(TEXTBOOK)
            assert len({run.workload for run in block}) == 1


def test_nobody_is_always_first() -> None:
    first = Counter(chosen(seed, ALL, scenarios=["saturate"]).runs()[0].candidate for seed in range(300))
    assert min(first[name] for name in TEXTBOOK) > 60


def test_choices_replace_the_defaults() -> None:
    plan = chosen(1, ALL[2:], scenarios=["saturate"], clients=[2, 4], seconds=9, repeats=2)
    assert [(task.workload.clients, task.workload.seconds, task.repeats) for task in plan.tasks] == [
        (2, 9, 2),
        (4, 9, 2),
    ]
    assert [(run.candidate, run.repeat) for run in plan.runs()] == [("asyncio", n) for n in (1, 1, 2, 2)]


@pytest.mark.parametrize(
    ("scenario", "clients"),
    [("conversation", 30), ("churn", 50), ("crowd", 1000), ("slow-client", 30), ("io-bound", 50), ("cpu-bound", 10)],
)
def test_clients_unless_the_user_says_otherwise(scenario: str, clients: int) -> None:
    (task,) = chosen(1, ALL, scenarios=[scenario]).tasks
    assert (task.workload.scenario, task.workload.clients, task.repeats) == (scenario, clients, 1)
    assert task.workload.warmup >= 1
    assert task.workload.seconds >= 3


def test_single_goes_through_its_queue_before_the_window() -> None:
    """One wait, or the stall, of each client before the last one."""

    def workload(scenario: str) -> Workload:
        return chosen(1, ALL, scenarios=[scenario]).tasks[0].workload

    assert workload("io-bound").warmup >= workload("io-bound").clients * SCENARIOS["io-bound"].amount / 1000
    assert workload("slow-client").warmup > SCENARIOS["slow-client"].stall
    think = workload("crowd").think
    assert think is not None
    assert workload("crowd").warmup >= think * (1 + SCENARIOS["crowd"].think_spread)


def test_the_ceiling_is_measured_only_on_request() -> None:
    assert chosen(1, ALL, scenarios=["churn"]).ceiling is None
    assert chosen(1, ALL, scenarios=["churn"], ceiling=True).ceiling == Workload("saturate", 50, 1, 2)
    assert chosen(1, ALL, scenarios=["churn"], ceiling=True, seconds=4).ceiling == Workload("saturate", 50, 1, 4)


def test_a_plan_is_kept_whole() -> None:
    kept = chosen(1, ALL[:1], scenarios=["crowd"], slo="p99<50ms", capacity=True, memory=True).as_json()
    assert kept["candidates"][0]["name"] == "single"
    assert kept["tasks"] == [
        {
            "workload": {"scenario": "crowd", "clients": 1000, "warmup": 6, "seconds": 6, "think": 4.0, "rate": None},
            "candidates": ("single",),
            "repeats": 1,
            "rates": (),
            "shares": (),
        }
    ]
    assert (kept["name"], kept["seed"], kept["slo"], kept["memory"]) == ("chosen", 1, "p99<50ms", True)
