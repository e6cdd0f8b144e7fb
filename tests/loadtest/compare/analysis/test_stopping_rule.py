"""Which runs a comparison adds: because of a width, never of a difference, and never without an end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare.analysis.stopping_rule import MADE_UP, MOST_RUNS, SWEEPS_MADE_UP, further
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.candidates import LAB, Candidate
from loadtest.compare.comparison import Comparison, begun
from loadtest.compare.measure.machine import share_out
from loadtest.compare.measure.run import Laboratory, Measured
from loadtest.compare.measure.sampler import Usage
from loadtest.compare.plan import MIN_RUNS, Plan, Task, Workload
from tests.loadtest.compare.results import comparison, failed, one_run, several_runs, swept, warning

STEADY = [10_000 + step for step in range(0, 200, 10)]
UNSTEADY = [8_000, 12_000] * 10


def due(*some: dict[str, Any]) -> list[list[str]]:
    """Return the candidates of each load that runs again, each in a process of its own."""
    return [[each.candidate.name for each, *_ in load] for load in further(summaries(comparison(*some)))]


def test_runs_that_agree_are_enough() -> None:
    assert due(*several_runs(10, "asyncio", verified=STEADY), *several_runs(10, "threaded", verified=STEADY)) == []


def test_scattered_runs_repeat_the_whole_load() -> None:
    some = [*several_runs(10, "threaded", verified=STEADY), *several_runs(10, "asyncio", verified=UNSTEADY)]
    elsewhere = several_runs(10, "threaded", clients=1, verified=STEADY)
    assert due(*some, *elsewhere) == [["threaded", "asyncio"]]


def test_a_pair_known_well_needs_no_more_runs() -> None:
    """The machine was slow in half of the repeats, for both alike."""
    slow = [each * (1 if place % 2 else 0.8) for place, each in enumerate(STEADY[:10])]
    assert due(*several_runs(10, "asyncio", verified=slow), *several_runs(10, "threaded", verified=slow)) == []
    assert due(*several_runs(10, "asyncio", verified=slow)) == [["asyncio"]]


def test_a_gap_in_another_repeat_is_one_too() -> None:
    some = [
        several_runs(
            11,
            name,
            verified=STEADY[:11],
            load_warnings=[[warning("stolen-time")] * (run == lost) for run in range(11)],
        )
        for name, lost in (("asyncio", 3), ("threaded", 7))
    ]
    assert due(*some[0], *some[1]) == [["threaded", "asyncio"]]


def test_a_clear_difference_between_two_is_no_reason() -> None:
    twice = [2 * each for each in STEADY]
    assert due(*several_runs(10, "asyncio", verified=STEADY), *several_runs(10, "threaded", verified=twice)) == []


def test_it_stops_at_the_most_runs() -> None:
    assert due(*several_runs(MOST_RUNS - 1, "asyncio", verified=UNSTEADY)) == [["asyncio"]]
    assert due(*several_runs(MOST_RUNS, "asyncio", verified=UNSTEADY)) == []


def test_what_was_planned_for_no_verdict_gets_none() -> None:
    assert due(*several_runs(MIN_RUNS - 1, "asyncio", verified=UNSTEADY)) == []


def test_an_exact_lower_bound_tells_no_more() -> None:
    # Its server had time left: what it could do is not known.
    idle = several_runs(10, "asyncio", verified=UNSTEADY, server_cpu=5.0, generator_cpu=0.97)
    measures = summaries(comparison(*idle))[0]
    assert measures["requests_per_second"].at_least
    steady_cost = several_runs(10, "asyncio", verified=UNSTEADY, server_cpu=[each / 20_000 for each in UNSTEADY[:10]])
    assert due(*steady_cost) == []


@pytest.mark.parametrize("lost", [1, 9])
def test_a_run_excluded_is_made_up_for(lost: int) -> None:
    warnings = [[warning("stolen-time")]] * lost + [[]] * (10 - lost)
    found = due(
        *several_runs(10, "asyncio", verified=STEADY, load_warnings=warnings),
        *several_runs(10, "threaded", verified=STEADY),
    )
    assert found == [["threaded", "asyncio"]], "a run has a pair only in its own repeat"


@pytest.mark.parametrize(("disturbed", "found"), [(MADE_UP, [["asyncio"]]), (MADE_UP + 1, [])])
def test_a_machine_seldom_quiet_gets_more_runs(disturbed: int, found: list[list[str]]) -> None:
    warnings = [[warning("stolen-time")]] * disturbed + [[]] * 9
    assert due(*several_runs(len(warnings), "asyncio", verified=STEADY[0], load_warnings=warnings)) == found


def test_runs_never_valid_are_replaced_seldom() -> None:
    def excluded(number: int) -> list[dict[str, Any]]:
        return several_runs(number, "asyncio", verified=STEADY, load_warnings=[[warning("stolen-time")]] * number)

    assert due(*excluded(MIN_RUNS + SWEEPS_MADE_UP - 1)) == [["asyncio"]]
    assert due(*excluded(MIN_RUNS + SWEEPS_MADE_UP)) == []


def test_a_server_that_never_starts_is_given_up() -> None:
    assert due(*(failed("asyncio", "it does not serve") for _ in range(MIN_RUNS + SWEEPS_MADE_UP))) == []


RATES = {2000.0: 1_000, 4000.0: 2_000}
"""Microseconds that a reply takes, by the rate."""


class Sweeping(Laboratory):
    """Gives every sweep at once; the last rate of one of them is excluded."""

    def __init__(self, spoilt: int) -> None:
        self.spoilt = spoilt
        self.played: list[tuple[float | None, ...]] = []

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
        self.played.append(tuple(each.rate for each in workloads))
        made = swept(candidate.name, {each.rate: 1_000 for each in workloads if each.rate}, workloads[0].clients)
        if len(self.played) == self.spoilt:
            made[-1]["load"]["warnings"] = [warning("stolen-time")]
        return [Measured(each["load"], Usage(**each["usage"]), 0.1) for each in made]


class Scripted(Laboratory):
    """Gives every run at once: steady for one, 20 % to and fro for the other; `lost` runs of it excluded."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def put(self, candidate: Candidate, workloads: Sequence[Workload]) -> list[Measured]:
        [workload] = workloads
        self.order.append(candidate.name)
        number = self.order.count(candidate.name)
        verified = UNSTEADY[number % 2] if candidate.name == "asyncio" else STEADY[number % len(STEADY)]
        made = one_run(candidate.name, workload.scenario, workload.clients, verified=verified)
        return [Measured(made["load"], Usage(**made["usage"]), 0.1)]


def test_a_comparison_goes_on_until_it_has_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload = Workload("saturate", 50, warmup=1, seconds=10)
    names = ("threaded", "asyncio")
    plan = Plan("chosen", tuple(LAB[name] for name in names), (Task(workload, names, MIN_RUNS),), seed=3)
    done = Comparison(plan, tmp_path, begun(plan, share_out(()), {}, []))
    laboratory = Scripted()
    done.run(laboratory)
    assert done.result["complete"]
    assert Counter(laboratory.order) == {"threaded": MOST_RUNS, "asyncio": MOST_RUNS}
    assert all(set(pair) == set(names) for pair in zip(laboratory.order[::2], laboratory.order[1::2], strict=True))
    assert [each["number"] for each in done.result["runs"]] == list(range(1, 2 * MOST_RUNS + 1))
    repeats = [each["repeat"] for each in done.result["runs"] if each["candidate"] == "asyncio"]
    assert repeats == list(range(1, MOST_RUNS + 1))
    assert all({**each["workload"]} == asdict(workload) for each in done.result["runs"])
    assert f"[{2 * MOST_RUNS}/{2 * MOST_RUNS} " in capsys.readouterr().out


def test_a_gap_at_one_rate_repeats_the_sweeps() -> None:
    """One server has one run at most of its rates, as the single server with many clients."""
    runs = [
        run for name in ("asyncio", "threaded") for repeat in range(10) for run in swept(name, RATES, repeat=repeat + 1)
    ]
    alone = swept("single", {2000.0: 1_000}, repeat=1)
    assert due(*runs, *alone) == []
    runs[7]["load"]["warnings"] = [warning("stolen-time")]
    [load] = further(summaries(comparison(*runs, *alone)))
    assert [[(each.candidate.name, each.workload.rate) for each in process] for process in load] == [
        [(name, rate) for rate in RATES] for name in ("threaded", "asyncio")
    ]


def test_excluded_sweeps_are_replaced_a_few_times() -> None:
    def excluded(number: int) -> list[dict[str, Any]]:
        some = [
            swept("asyncio", RATES, repeat=repeat + 1, load_warnings=[warning("stolen-time")])
            for repeat in range(number)
        ]
        return [run for runs in some for run in runs]

    assert due(*excluded(MIN_RUNS + SWEEPS_MADE_UP - 1)) == [["asyncio"]]
    assert due(*excluded(MIN_RUNS + SWEEPS_MADE_UP)) == []


def test_a_sweep_made_up_for_is_one_process(tmp_path: Path) -> None:
    """Its fourth run at the second rate is excluded; so the eleventh sweep has both rates again."""
    workload = Workload("rates", 50, warmup=1, seconds=10)
    plan = Plan(
        "chosen",
        (LAB["asyncio"],),
        (Task(workload, ("asyncio",), MIN_RUNS, rates=(1000.0, 2000.0)),),
        seed=3,
        slo="p99<20ms",
    )
    done = Comparison(plan, tmp_path, begun(plan, share_out(()), {}, []))
    laboratory = Sweeping(spoilt=4)
    done.run(laboratory)
    assert done.result["complete"]
    assert laboratory.played == [(1000.0, 2000.0)] * (MIN_RUNS + 1)
    last = [(run["repeat"], run["process"], run["workload"]["rate"]) for run in done.result["runs"][-2:]]
    assert last == [(MIN_RUNS + 1, 21, 1000.0), (MIN_RUNS + 1, 21, 2000.0)]
    assert [run["number"] for run in done.result["runs"]] == list(range(1, 2 * MIN_RUNS + 3))


def test_a_sweeps_rates_get_no_further_runs() -> None:
    """Near a server's limit their runs differ without end."""
    took = [1_000, 90_000]
    runs = [run for repeat in range(10) for run in swept("asyncio", {2000.0: took[repeat % 2]}, repeat=repeat + 1)]
    assert due(*runs) == []
    conversing = several_runs(10, "asyncio", "conversation")
    for place, run in enumerate(conversing):
        durations = {str(took[place % 2]): 10_000}
        run["load"]["variants"]["asyncio"]["histograms"] |= {"response": durations, "first_reply": durations}
    assert due(*conversing) == [["asyncio"]]
