from collections import Counter

import pytest

from loadtest.compare.candidates import LAB, TEXTBOOK, own
from loadtest.compare.plan import COMPARED, MIN_RUNS, Workload, chosen, indicative, thorough
from loadtest.scenarios import SCENARIOS

ALL = [LAB[name] for name in TEXTBOOK]


def test_the_default_is_one_scenario_two_sizes_thrice() -> None:
    counts = Counter((run.candidate, run.workload.scenario, run.workload.clients) for run in indicative(1).runs())
    assert counts == {(name, "saturate", clients): 3 for name in TEXTBOOK for clients in (1, 50)}
    assert [run.number for run in indicative(1).runs()] == list(range(1, 19))


def test_the_default_fits_into_ninety_seconds() -> None:
    assert sum(run.workload.warmup + run.workload.seconds + 1.8 for run in indicative(1).runs()) <= 90


def test_a_thorough_comparison_suffices_for_a_verdict() -> None:
    counts = Counter((run.candidate, run.workload.scenario, run.workload.clients) for run in thorough(1).runs())
    assert {scenario for _, scenario, _ in counts} == set(COMPARED)
    for (_, scenario, _), runs in counts.items():
        assert runs == (3 if scenario == "crowd" else MIN_RUNS)
    # What shows the price of an API or a loop, and is no model of its own, is where nothing else sets the speed.
    assert {scenario for name, scenario, _ in counts if name == "asyncio-stdlib"} == {"saturate", "churn"}
    assert {clients for name, scenario, clients in counts if scenario == "crowd"} == {1, 10, 100, 1000, 5000}
    assert (thorough(1).memory, thorough(1).capacity is not None, thorough(1).ceiling) == (
        True,
        True,
        Workload("saturate", 50, 1, 2),
    )


def test_ones_own_server_meets_every_thorough_load() -> None:
    mine = own("mine=127.0.0.1:7000", 0)
    tasks = thorough(1, [mine]).tasks
    assert all("mine" in task.candidates for task in tasks)
    assert thorough(1, [mine]).candidates[-1] == mine


def test_the_order_is_the_seeds() -> None:
    assert indicative(7).runs() == indicative(7).runs()
    assert len({indicative(seed).runs() for seed in range(20)}) == 20


def test_candidates_are_interleaved_a_round_per_repeat() -> None:
    for seed in range(50):
        runs = indicative(seed).runs()
        assert [run.repeat for run in runs] == [1] * 6 + [2] * 6 + [3] * 6
        for first in range(0, len(runs), len(TEXTBOOK)):
            block = runs[first : first + len(TEXTBOOK)]
            assert {run.candidate for run in block} == set(TEXTBOOK)
            assert len({run.workload for run in block}) == 1


def test_nobody_is_always_first() -> None:
    first = Counter(indicative(seed).runs()[0].candidate for seed in range(300))
    assert min(first[name] for name in TEXTBOOK) > 60


def test_choices_replace_the_defaults() -> None:
    plan = chosen(1, ALL[2:], scenarios=["saturate"], clients=[2, 4], seconds=9, repeats=2)
    assert [(task.workload.clients, task.workload.seconds, task.repeats) for task in plan.tasks] == [
        (2, 9, 2),
        (4, 9, 2),
    ]
    assert [(run.candidate, run.repeat) for run in plan.runs()] == [("asyncio", n) for n in (1, 1, 2, 2)]


def test_a_thorough_comparison_has_every_scenario_without_rate() -> None:
    assert {task.workload.scenario for task in thorough(1).tasks} == set(COMPARED) == set(SCENARIOS) - {"rates"}


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
            "workload": {"scenario": "crowd", "clients": 1000, "warmup": 6, "seconds": 6, "think": 4.0},
            "candidates": ("single",),
            "repeats": 1,
        }
    ]
    assert (kept["name"], kept["seed"], kept["slo"], kept["memory"]) == ("chosen", 1, "p99<50ms", True)
