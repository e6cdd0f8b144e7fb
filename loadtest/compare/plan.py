"""What a comparison measures, and in which order. Plain data; nothing here runs anything."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from loadtest.scenarios import SCENARIOS
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

    ceiling: the load to find the generator's own ceiling with, before all cells; None for none.
    """

    cases: tuple[Case, ...]
    variants: tuple[str, ...]
    seed: int
    ceiling: Case | None = None

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
            "ceiling": asdict(self.ceiling) if self.ceiling else None,
        }


@dataclass(frozen=True, slots=True)
class Usual:
    """How a scenario is measured unless the user says otherwise: as in Case, but for several numbers of clients."""

    clients: tuple[int, ...]
    warmup: int
    seconds: int


# The default comparison, with the making of the virtual environment, is to take less than three minutes. Where clients
# wait for each other, the queue at the single server needs its whole length before the waits are what they stay at, and
# as long again to be seen: 30 conversations of 0.4 s, 50 waits of 50 ms. Where they never pause, even one client brings
# tens of thousands of requests in three seconds.
_USUAL: Final = {
    "saturate": Usual((1, 50, 500), warmup=1, seconds=3),
    "conversation": Usual((30,), warmup=6, seconds=12),
    "churn": Usual((50,), warmup=1, seconds=3),
    # The second request comes 10 to 30 s after the first: from 10 s on there is something to be seen.
    "crowd": Usual((1000,), warmup=10, seconds=10),
    # The one who dawdles takes about 2.5 s for a round.
    "slow-client": Usual((30,), warmup=4, seconds=10),
    "io-bound": Usual((50,), warmup=3, seconds=6),
    "cpu-bound": Usual((10,), warmup=1, seconds=5),
}
_OTHERWISE: Final = Usual((30,), warmup=5, seconds=10)

LOADS: Final = {**_USUAL, **{name: _OTHERWISE for name in SCENARIOS if name not in _USUAL}}
"""How each scenario is measured, in the order in which they are shown. A new scenario need not be named here."""

DEFAULT_SCENARIOS: Final = ("saturate", "conversation")

ALL_VARIANTS: Final = tuple(variant.name for variant in VARIANTS)

DEFAULT_VARIANTS: Final = ("single", "threaded", "asyncio")
"""The models that the lab asks about; what else is a variant shows what a choice within a model costs."""

CEILING_CLIENTS: Final = 50
"""As many as one row of `saturate` has: enough that a reply is always waiting for the generator."""


def make(
    seed: int,
    *,
    scenarios: Sequence[str] = DEFAULT_SCENARIOS,
    clients: Sequence[int] = (),
    seconds: int | None = None,
    warmup: int | None = None,
    variants: Sequence[str] = DEFAULT_VARIANTS,
    ceiling: bool = False,
) -> Plan:
    """
    Return the plan for `scenarios` and `variants`.

    clients, seconds, warmup: in place of each scenario's own (seconds of the measured window, and before it).
    ceiling: whether to measure the generator's own first.
    """

    def case(scenario: str, count: int) -> Case:
        usual = LOADS[scenario]
        return Case(
            scenario,
            count,
            usual.warmup if warmup is None else warmup,
            usual.seconds if seconds is None else seconds,
        )

    cases = [case(scenario, count) for scenario in scenarios for count in (clients or LOADS[scenario].clients)]
    return Plan(tuple(cases), tuple(variants), seed, case("saturate", CEILING_CLIENTS) if ceiling else None)
