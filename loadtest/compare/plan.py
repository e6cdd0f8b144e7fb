"""What a comparison measures, and in which order. Plain data; nothing here runs anything."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.scenarios import SCENARIOS

MIN_RUNS: Final = 10
"""Sound runs of either side that a verdict takes; analysis/significance.py says what fewer would do to it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One load that the candidates meet.

    scenario: its name in loadtest/scenarios.py. clients: how many connect, all at once. think: mean seconds between a
    reply and the next request; None for the scenario's own.
    warmup: seconds of load that are thrown away. seconds: the measured window that follows.
    Both are whole, for so Locust takes its running time.
    """

    scenario: str
    clients: int
    warmup: int
    seconds: int
    think: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run: one candidate under one load. number: its place in the order, from 1. repeat: of the same, from 1."""

    number: int
    candidate: str
    workload: Workload
    repeat: int


@dataclass(frozen=True, slots=True)
class Task:
    """A load, the candidates that meet it, and how often each does."""

    workload: Workload
    candidates: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole comparison: its tasks, in an order drawn with `seed`.

    The order is drawn in blocks, once for each repeat: the candidates of one load follow each other, so that a drift of
    the machine (heat, other work) meets them alike; which load comes when, and who is first within it, is chance.

    name: "indicative", "thorough" or "chosen". ceiling: the load to find the generator's own ceiling with, before all
    runs; None for none. capacity: the load whose clients are varied to find how many are within the SLO; None for
    no search. searched: the candidates whose capacity is searched. memory: whether memory per client is measured. slo:
    what a run is to keep, as it was typed; "" for nothing.
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
        """Return the runs in the order in which they are to be run; the same for the same plan."""
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
        """Return the plan as JSON-ready data."""
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
With what the capacity is searched: clients who come and go, so that every reply counts, the wait to be served included.

Three seconds, for who is away for longer than the window looks as if it had never connected.
"""

CEILING_CLIENTS: Final = 50
"""As many as one row of `saturate` has: enough that a reply is always waiting for the generator."""

THOROUGH_SLO: Final = "p99<50ms"
"""What a thorough comparison's search for the capacity is to keep, unless the user says otherwise."""

INDICATIVE_RUNS: Final = 3
"""Runs of each candidate under a load in a comparison that gives no verdict: a median, and how far runs are apart."""

CROWD_RUNS: Final = 3
"""Of `crowd`, which takes long, and whose memory per client is measured by itself."""


def indicative(seed: int) -> Plan:
    """Return what a newcomer runs, within 90 s: one scenario, two numbers of clients, the textbook's three models."""
    load = SCENARIOS["saturate"].loads
    tasks = tuple(Task(_workload("saturate", clients), TEXTBOOK, INDICATIVE_RUNS) for clients in load.clients)
    return Plan("indicative", tuple(LAB[name] for name in TEXTBOOK), tasks, seed)


def thorough(seed: int, own: Sequence[Candidate] = (), slo: str = "") -> Plan:
    """Return what gives the verdict: every scenario, MIN_RUNS runs of each, capacity, memory, and the ceiling."""
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
    """
    Return the plan for what the user chose.

    clients, seconds, warmup: in place of each scenario's own (seconds of the measured window, and before it).
    """
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
