"""What a comparison measures, and in which order. Plain data; nothing here runs anything."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from servers.variants import VARIANTS


@dataclass(frozen=True, slots=True)
class Case:
    """
    One load that every variant meets.

    scenario: its name in loadtest/scenarios.py. clients: how many connect, all at once.
    warmup: seconds of load that are thrown away. seconds: the measured window that follows.
    Both are whole, for so Locust takes its running time.
    """

    scenario: str
    clients: int
    warmup: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One variant under one load: a row of the table. number: its place in the order, from 1."""

    number: int
    variant: str
    case: Case


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A whole comparison: `cases` for each of `variants`, in an order drawn with `seed`.

    The order is drawn in blocks: the variants of one case follow each other, so that a drift of the machine
    (heat, other work) meets them alike; which case comes when, and who is first within it, is chance.
    """

    cases: tuple[Case, ...]
    variants: tuple[str, ...]
    seed: int

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells in the order in which they are to be run; the same for the same plan."""
        chance = random.Random(self.seed)
        order: list[tuple[str, Case]] = []
        for case in chance.sample(self.cases, len(self.cases)):
            order += [(variant, case) for variant in chance.sample(self.variants, len(self.variants))]
        return tuple(Cell(number, variant, case) for number, (variant, case) in enumerate(order, 1))

    def as_json(self) -> dict[str, object]:
        """Return the plan as JSON-ready data."""
        return {
            "seed": self.seed,
            "variants": list(self.variants),
            "cases": [asdict(case) for case in self.cases],
        }


# Windows: the whole comparison, with the making of the virtual environment, is to take less than three
# minutes. In `saturate` even one client brings tens of thousands of requests in three seconds. In
# `conversation` the queue of the single server needs its whole length, about 30 clients x 0.4 s, before the
# waits are what they stay at, and as long again to be seen: hence the long warm-up and window.
_SATURATE_WARMUP, _SATURATE_SECONDS = 1, 3
_CONVERSATION_WARMUP, _CONVERSATION_SECONDS = 6, 12

ALL_VARIANTS = tuple(variant.name for variant in VARIANTS)

DEFAULT_CLIENTS = {"saturate": (1, 50, 500), "conversation": (30,)}
"""The scenarios of a comparison, and the numbers of clients in each."""


def make(
    seed: int,
    *,
    scenarios: Sequence[str] = tuple(DEFAULT_CLIENTS),
    clients: Sequence[int] = (),
    seconds: int | None = None,
    warmup: int | None = None,
    variants: Sequence[str] = ALL_VARIANTS,
) -> Plan:
    """
    Return the plan for `scenarios` and `variants`.

    clients, seconds, warmup: in place of each scenario's own (seconds of the measured window, and before it).
    """
    windows = {
        "saturate": (_SATURATE_WARMUP, _SATURATE_SECONDS),
        "conversation": (_CONVERSATION_WARMUP, _CONVERSATION_SECONDS),
    }
    cases = [
        Case(
            scenario,
            count,
            windows[scenario][0] if warmup is None else warmup,
            windows[scenario][1] if seconds is None else seconds,
        )
        for scenario in scenarios
        for count in (clients or DEFAULT_CLIENTS[scenario])
    ]
    return Plan(tuple(cases), tuple(variants), seed)
