"""What a comparison measures, and in which order, as plain data."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.scenarios import SCENARIOS

MIN_RUNS: Final = 10
"""Valid runs of each side that a verdict needs; analysis/significance.py says what fewer would change."""


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One load for the candidates.

    scenario: its name in loadtest/scenarios.py. clients: how many are connected at the same time. warmup: seconds of
    load that don't count. seconds: the measured window after it. Both are whole, because Locust's run time is. think:
    mean seconds between a reply and the next request; None for the scenario's own.
    """

    scenario: str
    clients: int
    warmup: int
    seconds: int
    think: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run: one candidate under one load. number: its position, from 1. repeat: of the same run, from 1."""

    number: int
    candidate: str
    workload: Workload
    repeat: int


@dataclass(frozen=True, slots=True)
class Task:
    """A load, its candidates, and the number of runs of each."""

    workload: Workload
    candidates: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole comparison: its tasks, in an order drawn with `seed`.

    The order is drawn for each repeat: the candidates of one load follow each other, so that a drift of the machine
    (heat, other work) affects them alike; the order of the loads, and of the candidates of each, is random.

    name: "indicative", "thorough" or "chosen". ceiling: the load that measures the generator's own ceiling, before all
    runs; None for none. capacity: the load whose clients are varied to find how many are within the SLO; None for no
    search. searched: the candidates of the search. memory: whether to measure memory per client. slo: as typed; ""
    without any.
    """

    name: str
    candidates: tuple[Candidate, ...]
    tasks: tuple[Task, ...]
    seed: int
    ceiling: Workload | None = None
    capacity: Workload | None = None
    searched: tuple[str, ...] = ()
    memory: bool = False
    slo: str = ""

    def runs(self) -> tuple[Run, ...]:
        """Return the runs in their order, which depends on the plan alone."""
        chance = random.Random(self.seed)
        order: list[tuple[str, Workload, int]] = []
        for repeat in range(1, max((task.repeats for task in self.tasks), default=0) + 1):
            due = [task for task in self.tasks if task.repeats >= repeat]
            for task in chance.sample(due, len(due)):
                order += [
                    (name, task.workload, repeat) for name in chance.sample(task.candidates, len(task.candidates))
                ]
        return tuple(Run(number, *each) for number, each in enumerate(order, 1))

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "name": self.name,
            "seed": self.seed,
            "candidates": [candidate.as_json() for candidate in self.candidates],
            "tasks": [asdict(task) for task in self.tasks],
            "ceiling": asdict(self.ceiling) if self.ceiling else None,
            "capacity": asdict(self.capacity) if self.capacity else None,
            "searched": list(self.searched),
            "memory": self.memory,
            "slo": self.slo,
        }


COMPARED: Final = tuple(name for name, each in SCENARIOS.items() if not each.paced)
"""The scenarios that a comparison can play: all that need no rate."""

CAPACITY: Final = Workload("conversation", 1, warmup=5, seconds=3)
"""
The load of a search for the capacity: clients come and go, so that every reply counts, also the wait to be served.

Three seconds: a client that is away for the whole window looks as if it had never connected.
"""

CEILING_CLIENTS: Final = 50
"""As in `saturate`: enough that a reply always waits for the generator."""

THOROUGH_SLO: Final = "p99<50ms"
"""The default SLO of a thorough comparison."""

INDICATIVE_RUNS: Final = 3
"""Runs of each candidate under a load in a comparison without a verdict: enough for a median and a range."""

CROWD_RUNS: Final = 3
"""Runs of `crowd`, which takes long, and whose memory per client is measured separately."""


def indicative(seed: int) -> Plan:
    """Return the default plan, within 90 s: one scenario, two numbers of clients, the textbook's three models."""
    load = SCENARIOS["saturate"].loads
    tasks = tuple(Task(_workload("saturate", clients), TEXTBOOK, INDICATIVE_RUNS) for clients in load.clients)
    return Plan("indicative", tuple(LAB[name] for name in TEXTBOOK), tasks, seed)


def thorough(seed: int, own: Sequence[Candidate] = (), slo: str = "") -> Plan:
    """Return the plan for a verdict: every scenario, MIN_RUNS runs of each, capacity, memory, and the ceiling."""
    main = (*TEXTBOOK, *(candidate.name for candidate in own))
    every = (*LAB, *(candidate.name for candidate in own))
    tasks = [
        Task(
            _workload(name, clients),
            every if SCENARIOS[name].loads.every else main,
            CROWD_RUNS if name == "crowd" else MIN_RUNS,
        )
        for name in COMPARED
        for clients in SCENARIOS[name].loads.thorough
    ]
    return Plan(
        "thorough",
        (*LAB.values(), *own),
        tuple(tasks),
        seed,
        ceiling=_workload("saturate", CEILING_CLIENTS),
        capacity=CAPACITY,
        searched=main,
        memory=True,
        slo=slo or THOROUGH_SLO,
    )


def chosen(
    seed: int,
    candidates: Sequence[Candidate],
    *,
    scenarios: Iterable[str],
    clients: Sequence[int] = (),
    repeats: int = 1,
    seconds: int | None = None,
    warmup: int | None = None,
    ceiling: bool = False,
    capacity: bool = False,
    memory: bool = False,
    slo: str = "",
) -> Plan:
    """Return the plan that the user chose; clients, seconds and warmup replace each scenario's own."""
    names = tuple(candidate.name for candidate in candidates)
    tasks = [
        Task(_workload(name, count, warmup, seconds), names, repeats)
        for name in scenarios
        for count in (clients or SCENARIOS[name].loads.clients)
    ]
    return Plan(
        "chosen",
        tuple(candidates),
        tuple(tasks),
        seed,
        ceiling=_workload("saturate", CEILING_CLIENTS, warmup, seconds) if ceiling else None,
        capacity=CAPACITY if capacity else None,
        searched=names if capacity else (),
        memory=memory,
        slo=slo,
    )


def clients(count: int) -> str:
    """Return "1 client", "50 clients"."""
    return f"{count:,} client{'' if count == 1 else 's'}"


def _workload(scenario: str, clients: int, warmup: int | None = None, seconds: int | None = None) -> Workload:
    usual = SCENARIOS[scenario].loads
    return Workload(
        scenario,
        clients,
        usual.warmup if warmup is None else warmup,
        usual.seconds if seconds is None else seconds,
        usual.think,
    )
