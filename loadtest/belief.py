"""
May the figures of a run be believed? Named doubts, each with its remedy: pure functions over measured facts.

A new doubt is one function, one row in DOUBTS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

BUSY: Final = 0.90
"""Share of a core from which a load process is too busy to be believed."""

LAGGING: Final = 0.005
"""Seconds of loop lag (p99) from which the generator's own delay may show in the latencies."""


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """
    What happened to one variant: users, different clients connected and served, and requests out of balance.

    imbalance: sent - verified - errors - unanswered.
    """

    users: int = 0
    connected: int = 0
    served: int = 0
    imbalance: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What was measured about a run.

    alone: its scenario wants the variants one after another. cpu_ratio: of the busiest load process, in cores.
    lag_p99: seconds, of the one that lagged most. lost_workers: load processes that vanished during the run.
    """

    alone: bool = False
    cpu_ratio: float = 0.0
    lag_p99: float = 0.0
    lost_workers: int = 0
    variants: Mapping[str, VariantFacts] = field(default_factory=dict)


class Doubt(NamedTuple):
    """A reason not to believe a run's figures. detail: what was seen. remedy: what to do about it."""

    name: str
    detail: str
    remedy: str


def _generator_cpu(facts: Facts) -> str | None:
    if facts.cpu_ratio < BUSY:
        return None
    return f"a load process used {facts.cpu_ratio:.0%} of a core: a top speed is the generator's, not the server's"


def _loop_lag(facts: Facts) -> str | None:
    if facts.lag_p99 <= LAGGING:
        return None
    return f"a load process woke up {facts.lag_p99 * 1000:.1f} ms late (p99): latencies include its own delay"


def _all_at_once(facts: Facts) -> str | None:
    loaded = [name for name, variant in facts.variants.items() if variant.users]
    if not facts.alone or len(loaded) < 2:
        return None
    return f"{', '.join(loaded)} were loaded at the same time: they competed for the cores"


def _worker_lost(facts: Facts) -> str | None:
    if not facts.lost_workers:
        return None
    return f"{facts.lost_workers} load process(es) vanished: up to a second of their counts is missing"


def _conservation(facts: Facts) -> str | None:
    wrong = [f"{name} by {variant.imbalance}" for name, variant in facts.variants.items() if variant.imbalance]
    if not wrong:
        return None
    return f"sent is not verified + errors + unanswered: {', '.join(wrong)}"


def _unserved(facts: Facts) -> str | None:
    waiting = [
        f"{name} served {variant.served} of {variant.connected}"
        for name, variant in facts.variants.items()
        if variant.served < variant.connected
    ]
    if not waiting:
        return None
    return f"some clients never had a reply: {', '.join(waiting)}"


class _Row(NamedTuple):
    see: Callable[[Facts], str | None]
    remedy: str


DOUBTS: Final[Mapping[str, _Row]] = {
    "generator-cpu": _Row(_generator_cpu, "add workers, or give the load a core of its own; fewer clients also help"),
    "loop-lag": _Row(_loop_lag, "add workers or take fewer clients; keep other work off the load's core"),
    "all-at-once": _Row(_all_at_once, "load one variant at a time: name one user class, such as AsyncioUser"),
    "worker-lost": _Row(_worker_lost, "run it again; see why the worker ended (memory, kill, network)"),
    "conservation": _Row(_conservation, "discard the run: this is a fault in the load generator, please report it"),
    "unserved": _Row(
        _unserved,
        "read throughput and latency as those of the clients served, not of all; measure longer, or take fewer clients",
    ),
}


def doubts(facts: Facts) -> list[Doubt]:
    """Return every doubt that the facts give rise to."""
    found = ((name, row.see(facts), row.remedy) for name, row in DOUBTS.items())
    return [Doubt(name, detail, remedy) for name, detail, remedy in found if detail is not None]
