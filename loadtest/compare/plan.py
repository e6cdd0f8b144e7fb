"""What a comparison measures, and in which order, as plain data."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby, product
from typing import Any, Final, Self

from pydantic import TypeAdapter

from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate
from loadtest.scenarios import SCENARIOS

MIN_RUNS: Final = 10
"""Valid runs of each side that a verdict needs; analysis/significance.py says what fewer would change."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A load for the candidates; None stands for the scenario's own."""

    scenario: str  # its name in loadtest/scenarios.py
    clients: int  # connected at the same time
    warmup: int  # seconds of load that don't count; whole, because Locust's run time is
    seconds: int  # the measured window after it
    think: float | None = None  # mean seconds between a reply and the next request
    rate: float | None = None  # requests per second, due at random; None where clients ask when they want to
    size: int | None = None  # bytes of a message's text

    @property
    def load(self) -> tuple[str, int, float, int]:
        """What tells loads apart, sorted for reading: scenario, clients, rate and size."""
        return self.scenario, self.clients, self.rate or 0.0, self.size or 0


@dataclass(frozen=True, slots=True)
class Run:
    """A candidate under a load."""

    number: int  # its position, from 1
    candidate: str
    workload: Workload
    repeat: int  # of the same run, from 1
    process: int  # number of the first run of the same server process; the runs of a sweep share it


@dataclass(frozen=True, slots=True)
class Task:
    """A load, its candidates, and the number of runs of each."""

    workload: Workload
    candidates: tuple[str, ...]
    repeats: int
    rates: tuple[float, ...] = ()  # requests per second that one process is swept through; () as Workload.rate
    shares: tuple[float, ...] = ()  # of what the slowest of Plan.reaching reaches, instead, until that is known


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole comparison: its tasks, for each repeat in an order drawn with `seed`.

    The candidates of one load follow each other, so that a drift of the machine (heat, other work) affects them alike.
    """

    name: str  # "indicative", "thorough" or "chosen"
    candidates: tuple[Candidate, ...]
    tasks: tuple[Task, ...]
    seed: int
    ceiling: Workload | None = None  # the load that measures the generator's own ceiling, before all runs
    memory: bool = False  # whether to measure memory per client
    slo: str = ""  # as typed; "" without any
    reaching: tuple[str, ...] = ()

    def runs(self) -> tuple[Run, ...]:
        """Return the runs in their order, which depends on the plan alone; none of tasks whose rates aren't known."""
        chance = random.Random(self.seed)
        order: list[Run] = []
        for repeat in range(1, max((task.repeats for task in self.tasks), default=0) + 1):
            due = [task for task in self.tasks if task.repeats >= repeat]
            for task in chance.sample(due, len(due)):
                for name in chance.sample(task.candidates, len(task.candidates)):
                    process = len(order) + 1
                    for rate in () if task.shares else task.rates or (None,):
                        workload = replace(task.workload, rate=rate)
                        order.append(Run(len(order) + 1, name, workload, repeat, process))
        return tuple(order)

    @property
    def waits_for_rates(self) -> bool:
        """Whether rates are known as shares only."""
        return any(task.shares for task in self.tasks)

    def at(self, reached: float) -> Self:
        """Return the plan with rates in place of shares of `reached` (requests per second)."""

        def with_rates(task: Task) -> Task:
            rates = tuple(dict.fromkeys(rounded(share * reached) for share in task.shares))
            return replace(task, rates=rates, shares=()) if rates else task

        return replace(self, tasks=tuple(map(with_rates, self.tasks)))

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data for `from_json`."""
        return asdict(self)


def from_json(raw: Mapping[str, Any]) -> Plan:
    """Return the plan from its `as_json`; ValueError on bad data."""
    return TypeAdapter(Plan).validate_python(raw)


def not_run(run: Run) -> dict[str, Any]:
    """Return the record of a run that is still to be made."""
    return {**asdict(run), "status": "not run", "reason": ""}


def runs_of(records: Iterable[Mapping[str, Any]]) -> tuple[Run, ...]:
    """Return the runs that records are of."""
    return TypeAdapter(tuple[Run, ...]).validate_python(records)


def processes(runs: Iterable[Run]) -> list[list[Run]]:
    """Return the runs of each process, in their order."""
    return [list(some) for _, some in groupby(runs, key=lambda run: run.process)]


def under_load(workloads: Sequence[Workload]) -> int:
    """Return for how many seconds one process is under load that plays these, one after another."""
    return workloads[0].warmup + sum(each.seconds for each in workloads)


def rounded(rate: float) -> float:
    """Return a rate with two significant figures, or three from 1 to 2: such rates are easily read and named."""
    digits = 1 - math.floor(math.log10(rate))
    return float(round(rate, digits + (rate * 10.0**digits < 20)))


CLOSED: Final = tuple(name for name, each in SCENARIOS.items() if not each.paced)
"""The scenarios in which clients ask when they want to."""

SHARES: Final = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1)
"""A sweep's rates, as shares of what the slowest concurrent model reaches: below a half hardly anything waits."""

THOROUGH_SHARES: Final = (0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1)
"""The same in a thorough comparison; the first is one that a server sustains with a single client."""

SHORT_WINDOWS: Final = {"conversation": (4, 5), "slow-client": (3, 4)}
"""Warm-up and window in a thorough comparison: ten short ones say better which clients wait than a few long ones."""

REACH: Final = 1e6  # requests per second that none reaches, so that each client always has one to send
RATES_SLO: Final = "p99<20ms"  # where there are rates: above it requests queue without end, in any model
CEILING_CLIENTS: Final = 50  # enough that a reply always waits for the generator
FEW_RUNS: Final = 3  # enough for a median and a range: without a verdict, and of `crowd`, which takes long

_TEXTBOOK: Final = tuple(LAB[name] for name in TEXTBOOK)


def indicative(seed: int) -> Plan:
    """Return the default plan, within 90 s: the textbook's three models at the same rates."""
    _, alone, concurrent = _names(_TEXTBOOK)
    [one, many] = sorted(SCENARIOS["rates"].loads.clients)
    tasks = (
        Task(_workload("rates", many), concurrent, FEW_RUNS, shares=SHARES),
        Task(_workload("rates", one), alone, FEW_RUNS - 1, shares=SHARES),
        Task(_workload("rates", many), alone, 1, shares=SHARES[:1]),  # shows how many it serves
    )
    return Plan("indicative", _TEXTBOOK, tasks, seed, slo=RATES_SLO, reaching=concurrent)


def thorough(seed: int, candidates: Sequence[Candidate] = _TEXTBOOK, slo: str = "") -> Plan:
    """Return the plan for a verdict: MIN_RUNS runs of what the textbook's claims need, memory, and the ceiling."""
    names, alone, concurrent = _names(candidates)
    [one, many] = sorted(SCENARIOS["rates"].loads.clients)
    tasks = [
        Task(_workload("rates", many), concurrent, MIN_RUNS, shares=THOROUGH_SHARES),
        Task(_workload("rates", one), alone, MIN_RUNS, shares=THOROUGH_SHARES),
        # As the first of those, so that each has one client at one rate in every repeat.
        Task(_workload("rates", one), concurrent, MIN_RUNS, shares=THOROUGH_SHARES[:1]),
        Task(_workload("rates", many), alone, 1, shares=THOROUGH_SHARES[:1]),
        # A share that no sweep has, or these runs would be in the same median. So long a warm-up that each client has
        # been asked before the window: it connects when its first request is due, at random (at 2,500/s, of 5,000
        # clients fewer than one is left after 18 s). Windows are equal, so that their quantiles are alike.
        *(
            Task(_workload("rates", clients, math.ceil(clients / 340), 4), concurrent, MIN_RUNS, shares=(0.45,))
            for clients in SCENARIOS["rates"].loads.thorough
        ),
        *(
            Task(
                _workload(name, clients, *SHORT_WINDOWS.get(name, ())), names, FEW_RUNS if name == "crowd" else MIN_RUNS
            )
            for name in CLOSED
            for clients in SCENARIOS[name].loads.thorough
        ),
    ]
    return Plan(
        "thorough",
        tuple(candidates),
        tuple(task for task in tasks if task.candidates),
        seed,
        ceiling=_workload("saturate", CEILING_CLIENTS),
        memory=True,
        slo=slo or RATES_SLO,
        reaching=concurrent or names,
    )


def chosen(
    seed: int,
    candidates: Sequence[Candidate],
    *,
    scenarios: Iterable[str],
    clients: Sequence[int] = (),
    rates: Sequence[float] = (),
    shares: Sequence[float] = (),
    sizes: Sequence[int] = (),
    repeats: int = 1,
    seconds: int | None = None,
    warmup: int | None = None,
    ceiling: bool = False,
    memory: bool = False,
    slo: str = "",
) -> Plan:
    """Return the plan that the user chose; clients, seconds and warmup replace each scenario's own."""
    names, alone, concurrent = _names(candidates)
    paced = [name for name in scenarios if rates or shares or SCENARIOS[name].paced]
    tasks = []
    for name in scenarios:
        for count, size in product(clients or SCENARIOS[name].loads.clients, sizes or (None,)):
            workload = replace(_workload(name, count, warmup, seconds), size=size)
            if name not in paced:
                tasks.append(Task(workload, names, repeats))
                continue
            # Of clients that stay, a server that serves one at a time serves one.
            each_its_own = not clients and SCENARIOS[name].requests is None
            some = tuple(each for each in names if not each_its_own or (each in alone) == (count == 1))
            if some:
                usual = () if shares else tuple(rates) or SCENARIOS[name].loads.rates
                tasks.append(Task(workload, some, repeats, usual, () if usual else tuple(shares) or SHARES))
    return Plan(
        "chosen",
        tuple(candidates),
        tuple(tasks),
        seed,
        ceiling=_workload("saturate", CEILING_CLIENTS, warmup, seconds) if ceiling else None,
        memory=memory,
        slo=slo or next((SCENARIOS[name].loads.slo or RATES_SLO for name in paced), ""),
        reaching=(concurrent or names) if any(task.shares for task in tasks) else (),
    )


def _names(candidates: Sequence[Candidate]) -> tuple[tuple[str, ...], ...]:
    """Return the names of all, of those that serve one client at a time, and of the others."""
    alone = tuple(each.name for each in candidates if each.alone)
    names = tuple(each.name for each in candidates)
    return names, alone, tuple(name for name in names if name not in alone)


def clients(count: int) -> str:
    """Return "1 client", "50 clients"."""
    return f"{count:,} client{'' if count == 1 else 's'}"


def cores(count: int) -> str:
    """Return "1 core", "4 cores"."""
    return f"{count} core{'' if count == 1 else 's'}"


def amount(workload: Workload) -> str:
    """Return how much load it is: "50 clients", "50 clients at 2,000/s", or "50 clients, 4,096 bytes"."""
    rate = f" at {workload.rate:,g}/s" if workload.rate else ""
    return clients(workload.clients) + rate + (f", {workload.size:,} bytes" if workload.size else "")


def _workload(scenario: str, clients: int, warmup: int | None = None, seconds: int | None = None) -> Workload:
    usual = SCENARIOS[scenario].loads
    return Workload(scenario, clients, warmup or usual.warmup, seconds or usual.seconds, usual.think)
