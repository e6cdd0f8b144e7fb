"""
Shapes: the number of clients as a pure function of the time since the start. A new one is one entry in SHAPES.

Without a shape, Locust's own options and web UI set the number of clients.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

STEP: Final = 30.0
"""Seconds of each of the five steps, of each of a spike's three parts, and of a stage of the tour."""

STAY: Final = 60.0
"""Seconds for each variant in one-after-another."""

CHANGE: Final = 5.0
"""Seconds without clients between two variants: Locust removes the old ones only in a separate stage."""

TOUR: Final = (10, 30, 100, 300)
"""
Clients of each stage of the tour. The most are few enough for `conversation` at a server of one client at a time: 300
conversations of less than 90 ms are over before the last client's reply timeout of 30 s.
"""


class Stage(NamedTuple):
    """clients: for each variant. variants: those that are loaded."""

    clients: int
    variants: tuple[str, ...]


Plan = Callable[[float, int, Sequence[str]], Stage | None]
"""Takes the seconds since the start, --clients and the variants; returns the stage, None at the end."""


def steps(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return a fifth of the clients, two fifths and so on."""
    step = int(elapsed // STEP) + 1
    return Stage(-(-clients * step // 5), tuple(variants)) if step <= 5 else None


def spike(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return the clients, then ten times as many, then as many as before."""
    part = int(elapsed // STEP)
    return Stage(clients * (1, 10, 1)[part], tuple(variants)) if part < 3 else None


def one_after_another(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return the clients for one variant at a time, with none in between."""
    number, since = divmod(elapsed, STAY + CHANGE)
    if number >= len(variants):
        return None
    return Stage(clients if since < STAY else 0, (variants[int(number)],))


def tour(elapsed: float, _clients: int, variants: Sequence[str]) -> Stage | None:
    """Return 10, 30, 100 and 300 clients, in turn, for ever."""
    return Stage(TOUR[int(elapsed // STEP) % len(TOUR)], tuple(variants))


SHAPES: Final[Mapping[str, Plan]] = {
    "steps": steps,
    "spike": spike,
    "one-after-another": one_after_another,
    "tour": tour,
}
