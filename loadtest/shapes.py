"""
Shapes: how many clients there are, as pure functions of the time that has passed. A new one is one entry in SHAPES.

Without a shape, the number of clients is what Locust's own options and web UI say.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

STEP: Final = 30.0
"""Seconds that each of the five steps takes, and each of the three parts of a spike."""

STAY: Final = 60.0
"""Seconds that each variant is loaded when they are one after another, and that a stage of the tour takes."""

CHANGE: Final = 5.0
"""Seconds without any client in between: Locust takes the old ones away only in a stage of its own."""

TOUR: Final = (30, 300, 1000)


class Stage(NamedTuple):
    """clients: for each of the variants that are loaded. variants: which ones."""

    clients: int
    variants: tuple[str, ...]


Plan = Callable[[float, int, Sequence[str]], Stage | None]
"""Takes the seconds passed, the clients asked for and the variants. Returns what is to be now, None at the end."""


def steps(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return a fifth of the clients, two fifths and so on."""
    step = int(elapsed // STEP) + 1
    return Stage(-(-clients * step // 5), tuple(variants)) if step <= 5 else None


def spike(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return the clients, then ten times as many, then as many as before."""
    part = int(elapsed // STEP)
    return Stage(clients * (1, 10, 1)[part], tuple(variants)) if part < 3 else None


def one_after_another(elapsed: float, clients: int, variants: Sequence[str]) -> Stage | None:
    """Return the clients for one variant at a time, with none at all in between."""
    number, since = divmod(elapsed, STAY + CHANGE)
    if number >= len(variants):
        return None
    chosen = (variants[int(number)],)
    return Stage(clients if since < STAY else 0, chosen)


def tour(elapsed: float, _clients: int, variants: Sequence[str]) -> Stage | None:
    """Return 30, 300 and 1,000 clients, round and round, for ever."""
    return Stage(TOUR[int(elapsed // STAY) % len(TOUR)], tuple(variants))


class Shape(NamedTuple):
    """plan: what is to be when. sentence: what it is for."""

    plan: Plan
    sentence: str


SHAPES: Final[Mapping[str, Shape]] = {
    "steps": Shape(steps, "a fifth of the clients more every 30 s: from where on is it too much?"),
    "spike": Shape(spike, "ten times the clients for 30 s: what breaks, and does it recover?"),
    "one-after-another": Shape(one_after_another, "a minute for each server alone: none competes for the cores"),
    "tour": Shape(tour, "30, 300 and 1,000 clients, a minute each, round and round"),
}
