from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from loadtest.compare import command, options
from loadtest.compare.candidates import LAB, TEXTBOOK, own
from loadtest.compare.plan import (
    MIN_RUNS,
    Plan,
    Run,
    Workload,
    amount,
    chosen,
    indicative,
    processes,
    rounded,
    thorough,
    under_load,
)
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


def test_a_scenario_may_have_rates_of_its_own() -> None:
    plan = chosen(1, ALL, scenarios=["database"])
    rates = SCENARIOS["database"].loads.rates
    assert (plan.slo, plan.waits_for_rates) == ("p99<250ms", False)
    assert sorted(by_process(plan.runs())) == [(name, 400, list(rates)) for name in sorted(TEXTBOOK)]
    shares = chosen(1, ALL, scenarios=["database"], shares=[0.5])
    assert [task.shares for task in shares.tasks] == [(0.5,)]
    named = chosen(1, ALL, scenarios=["noisy-neighbour"], rates=[77.0])
    assert {run.workload.rate for run in named.runs()} == {77.0}


def test_each_size_is_a_load_of_its_own() -> None:
    plan = chosen(1, ALL, scenarios=["saturate"], clients=[50], sizes=[64, 4096])
    assert sorted((run.candidate, run.workload.size) for run in plan.runs()) == [
        (name, size) for name in sorted(TEXTBOOK) for size in (64, 4096)
    ]
    assert {amount(run.workload) for run in plan.runs()} == {"50 clients, 64 bytes", "50 clients, 4,096 bytes"}
    assert len({run.workload.load for run in plan.runs()}) == 2


def test_a_thorough_comparison_suffices_for_a_verdict() -> None:
    plan = thorough(1)
    assert (plan.memory, plan.ceiling, plan.slo) == (True, Workload("saturate", 50, 1, 2), "p99<20ms")
    counts = Counter((run.candidate, run.workload.load[:3]) for run in plan.at(5000).runs())
    rates = [2000, 2500, 3000, 3500, 3800, 4000, 4200, 4500, 4800, 5000, 5500]
    one_rate = 2200
    concurrent = {
        **{("rates", 50, rate): MIN_RUNS for rate in rates},
        ("rates", 1, rates[0]): MIN_RUNS,
        **{("rates", clients, one_rate): MIN_RUNS for clients in (50, 1000, 5000)},
    }
    alone = {**{("rates", 1, rate): MIN_RUNS for rate in rates}, ("rates", 50, rates[0]): 1}
    every = {
        ("conversation", 100, 0): MIN_RUNS,
        ("slow-client", 30, 0): MIN_RUNS,
        ("saturate", 1, 0): MIN_RUNS,
        ("saturate", 50, 0): MIN_RUNS,
        ("crowd", 1000, 0): 3,
    }
    for name, own_loads in (("single", alone), ("threaded", concurrent), ("asyncio", concurrent)):
        assert {load: number for (who, load), number in counts.items() if who == name} == {**own_loads, **every}
    assert {name for name, _ in counts} == set(TEXTBOOK)


def test_no_two_experiments_share_a_load() -> None:
    """Runs of one load are in one median: they have the same window, and as many rates in their process."""
    for reached in (1000.0, 1999.0, 5400.0, 99_000.0):
        kinds: dict[object, set[object]] = {}
        for runs in processes(thorough(1).at(reached).runs()):
            for run in runs:
                kind = (run.workload.warmup, run.workload.seconds, run.workload.clients > 1 and len(runs))
                kinds.setdefault((run.workload.load, run.candidate == "single"), set()).add(kind)
        assert {len(each) for each in kinds.values()} == {1}


def lasts(plan: Plan, repeat: int) -> int:
    """Return the seconds of one repeat: under load, and for each process to start and to end."""
    some = [runs for runs in processes(plan.runs()) if runs[0].repeat == repeat]
    starts = [3 if runs[0].workload.clients < 1000 else 4 if runs[0].workload.clients < 5000 else 6 for runs in some]
    return sum(under_load([run.workload for run in runs]) for runs in some) + sum(starts)


def test_a_thorough_comparison_takes_45_minutes() -> None:
    plan = thorough(1).at(5000)
    repeats = [lasts(plan, repeat) for repeat in range(1, MIN_RUNS + 1)]
    assert plan.ceiling
    before = under_load([plan.ceiling]) + 3 + len(plan.reaching) * (1 + 1 + 3)
    memory = 5 * 5 * len(TEXTBOOK)
    total = sum(repeats) + before + memory
    print(f"a repeat takes {min(repeats)} to {max(repeats)} s, everything {total / 60:.1f} minutes")
    assert max(repeats) <= 300
    assert total <= 45 * 60


def test_a_thorough_comparison_takes_other_variants() -> None:
    plan = thorough(1, [LAB["asyncio"], LAB["protocol"]])
    assert [each.name for each in plan.candidates] == ["asyncio", "protocol"]
    assert {task.candidates for task in plan.tasks} == {("asyncio", "protocol")}
    assert (plan.reaching, len(plan.tasks)) == (("asyncio", "protocol"), 10)
    asked = options.parse(["--thorough", "--variants", "asyncio", "protocol", "--seed", "1"])
    assert command._plan(asked, Path()) == plan
    alone = thorough(1, [LAB["single"]])
    assert alone.reaching == ("single",)
    assert all(task.candidates == ("single",) for task in alone.tasks)


def test_ones_own_server_meets_every_thorough_load() -> None:
    mine = own("mine=127.0.0.1:7000", 0)
    tasks = thorough(1, [*ALL, mine]).tasks
    assert all("mine" in task.candidates for task in tasks if task.candidates != ("single",))
    assert thorough(1, [*ALL, mine]).candidates[-1] == mine


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
    kept = chosen(1, ALL[:1], scenarios=["crowd"], slo="p99<50ms", memory=True).as_json()
    assert kept["candidates"][0]["name"] == "single"
    assert list(kept["tasks"]) == [
        {
            "workload": {
                "scenario": "crowd",
                "clients": 1000,
                "warmup": 6,
                "seconds": 6,
                "think": 4.0,
                "rate": None,
                "size": None,
            },
            "candidates": ("single",),
            "repeats": 1,
            "rates": (),
            "shares": (),
        }
    ]
    assert (kept["name"], kept["seed"], kept["slo"], kept["memory"]) == ("chosen", 1, "p99<50ms", True)
