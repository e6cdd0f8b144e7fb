"""What a comparison measures, and in which order, as plain data."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby, product
from typing import Any, Final, Self

from loadtest.compare import candidates as those
from loadtest.compare.candidates import LAB, ONE_AT_A_TIME, TEXTBOOK, Candidate
from loadtest.scenarios import SCENARIOS

MIN_RUNS: Final = 10
"""Valid runs of each side that a verdict needs; analysis/significance.py says what fewer would change."""


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One load for the candidates.

    scenario: its name in loadtest/scenarios.py. clients: how many are connected at the same time. warmup: seconds of
    load that don't count. seconds: the measured window after it. Both are whole, because Locust's run time is. think:
    mean seconds between a reply and the next request; None for the scenario's own. rate: requests per second, due at
    random; None where clients ask when they want to. size: bytes of a message's text; None for the scenario's own.
    """

    scenario: str
    clients: int
    warmup: int
    seconds: int
    think: float | None = None
    rate: float | None = None
    size: int | None = None

    @property
    def load(self) -> tuple[str, int, float, int]:
        """What tells loads apart, sorted for reading: scenario, clients, rate and size."""
        return self.scenario, self.clients, self.rate or 0.0, self.size or 0


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run: one candidate under one load.

    number: its position, from 1. repeat: of the same run, from 1. process: number of the first run that its server and
    its load process played; the runs of a sweep share it.
    """

    number: int
    candidate: str
    workload: Workload
    repeat: int
    process: int


@dataclass(frozen=True, slots=True)
class Task:
    """
    A load, its candidates, and the number of runs of each.

    rates: requests per second that one process is swept through; () where clients ask when they want to. shares: the
    same, as shares of what the slowest of the plan's `reaching` candidates reaches, until that is known.
    """

    workload: Workload
    candidates: tuple[str, ...]
    repeats: int
    rates: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole comparison: its tasks, in an order drawn with `seed`.

    The order is drawn for each repeat: the candidates of one load follow each other, so that a drift of the machine
    (heat, other work) affects them alike; the order of the loads, and of the candidates of each, is random.

    name: "indicative", "thorough" or "chosen". ceiling: the load that measures the generator's own ceiling, before all
    runs; None for none. memory: whether to measure memory per client. slo: as typed; "" without any.
    """

    name: str
    candidates: tuple[Candidate, ...]
    tasks: tuple[Task, ...]
    seed: int
    ceiling: Workload | None = None
    memory: bool = False
    slo: str = ""
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
        tasks = (
            replace(task, rates=tuple(dict.fromkeys(rounded(share * reached) for share in task.shares)), shares=())
            if task.shares
            else task
            for task in self.tasks
        )
        return replace(self, tasks=tuple(tasks))

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "name": self.name,
            "seed": self.seed,
            "candidates": [candidate.as_json() for candidate in self.candidates],
            "tasks": [asdict(task) for task in self.tasks],
            "ceiling": asdict(self.ceiling) if self.ceiling else None,
            "memory": self.memory,
            "slo": self.slo,
            "reaching": list(self.reaching),
        }


def from_json(raw: Mapping[str, Any]) -> Plan:
    """Return the plan from its `as_json`; KeyError or TypeError on bad data."""
    return Plan(
        **{
            **raw,
            "candidates": tuple(those.from_json(each) for each in raw["candidates"]),
            "tasks": tuple(_task(each) for each in raw["tasks"]),
            "ceiling": Workload(**raw["ceiling"]) if raw["ceiling"] else None,
            "reaching": tuple(raw["reaching"]),
        }
    )


def _task(raw: Mapping[str, Any]) -> Task:
    lists = {name: tuple(raw[name]) for name in ("candidates", "rates", "shares")}
    return Task(**{**raw, **lists, "workload": Workload(**raw["workload"])})


def not_run(run: Run) -> dict[str, Any]:
    """Return the record of a run that is still to be made."""
    return {**asdict(run), "status": "not run", "reason": ""}


def run_of(record: Mapping[str, Any]) -> Run:
    """Return the run that a record is of."""
    known = {each.name: record[each.name] for each in fields(Run)}
    return Run(**{**known, "workload": Workload(**record["workload"])})


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
"""
The rates of a sweep by default, as shares of what the slowest concurrent model was first seen to reach.

Below a half hardly anything waits; a model that is faster than the slowest reaches more.
"""

THOROUGH_SHARES: Final = (0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1)
"""The rates of a sweep in a thorough comparison; the first is one that a server sustains with a single client."""

ONE_SHARE: Final = 0.45
"""
The one rate at which a thorough comparison has few and many clients.

Each of these runs is a process of its own; at a rate of the sweeps it would be in one median with theirs.
"""

ONE_SHARE_SECONDS: Final = 4
"""Long enough for thousands of replies; the warm-up before it is what takes time (see `_asked`)."""

ASKED_PER_SECOND: Final = 340
"""Clients for each second of warm-up before the window at one rate."""

SHORT_WINDOWS: Final = {"conversation": (4, 5), "slow-client": (3, 4)}
"""
Warm-up and window in a thorough comparison, where they are shorter than the scenario's own.

It asks there which clients wait: ten short windows say that better than a few long ones.
"""

REACH: Final = 1e6
"""Requests per second that none reaches, so that each client always has one to send."""

RATES_SLO: Final = "p99<20ms"
"""The default SLO where there are rates: above it requests queue without end, in any model."""

CEILING_CLIENTS: Final = 50
"""As in `saturate`: enough that a reply always waits for the generator."""

INDICATIVE_RUNS: Final = 3
"""Runs of each candidate under a load in a comparison without a verdict: enough for a median and a range."""

CROWD_RUNS: Final = 3
"""Runs of `crowd`, which takes long, and whose memory per client is measured separately."""


def indicative(seed: int) -> Plan:
    """
    Return the default plan, within 90 s: the textbook's three models at the same rates.

    A model that serves one client at a time has one, and once as many as the others: that shows how many it serves.
    """
    [one, many] = sorted(SCENARIOS["rates"].loads.clients)
    concurrent = tuple(name for name in TEXTBOOK if name not in ONE_AT_A_TIME)
    tasks = (
        Task(_workload("rates", many), concurrent, INDICATIVE_RUNS, shares=SHARES),
        Task(_workload("rates", one), ONE_AT_A_TIME, INDICATIVE_RUNS - 1, shares=SHARES),
        Task(_workload("rates", many), ONE_AT_A_TIME, 1, shares=SHARES[:1]),
    )
    candidates = tuple(LAB[name] for name in TEXTBOOK)
    return Plan("indicative", candidates, tasks, seed, slo=RATES_SLO, reaching=concurrent)


def thorough(seed: int, own: Sequence[Candidate] = (), slo: str = "", variants: Sequence[str] = TEXTBOOK) -> Plan:
    """
    Return the plan for a verdict: MIN_RUNS runs of what the textbook's claims need, memory, and the ceiling.

    variants: the lab's servers in it. A repeat of everything takes five minutes at most, and has every pair.
    """
    names = (*variants, *(candidate.name for candidate in own))
    alone = tuple(name for name in names if name in ONE_AT_A_TIME)
    concurrent = tuple(name for name in names if name not in ONE_AT_A_TIME)
    [one, many] = sorted(SCENARIOS["rates"].loads.clients)
    tasks = [
        Task(_workload("rates", many), concurrent, MIN_RUNS, shares=THOROUGH_SHARES),
        Task(_workload("rates", one), alone, MIN_RUNS, shares=THOROUGH_SHARES),
        # As the first of those, so that each has one client at one rate in every repeat.
        Task(_workload("rates", one), concurrent, MIN_RUNS, shares=THOROUGH_SHARES[:1]),
        Task(_workload("rates", many), alone, 1, shares=THOROUGH_SHARES[:1]),
        *(
            Task(_asked(clients), concurrent, MIN_RUNS, shares=(ONE_SHARE,))
            for clients in SCENARIOS["rates"].loads.thorough
        ),
    ]
    tasks += [
        Task(_workload(name, clients, *SHORT_WINDOWS.get(name, ())), names, CROWD_RUNS if name == "crowd" else MIN_RUNS)
        for name in CLOSED
        for clients in SCENARIOS[name].loads.thorough
    ]
    return Plan(
        "thorough",
        (*(LAB[name] for name in variants), *own),
        tuple(task for task in tasks if task.candidates),
        seed,
        ceiling=_workload("saturate", CEILING_CLIENTS),
        memory=True,
        slo=slo or RATES_SLO,
        reaching=concurrent or names,
    )


def _asked(clients: int) -> Workload:
    """
    Return the load of so many clients at one rate: by the window's begin each has been asked.

    A client connects when its first request is due, at random: at 2,500 requests/s, of 5,000 clients fewer than one is
    left after 18 s. Windows are equal, so that their quantiles are alike.
    """
    return _workload("rates", clients, warmup=math.ceil(clients / ASKED_PER_SECOND), seconds=ONE_SHARE_SECONDS)


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
    names = tuple(candidate.name for candidate in candidates)
    alone = {each.name for each in candidates if each.alone}
    concurrent = tuple(name for name in names if name not in alone)
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
    return Workload(
        scenario,
        clients,
        usual.warmup if warmup is None else warmup,
        usual.seconds if seconds is None else seconds,
        usual.think,
    )
