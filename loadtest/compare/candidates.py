"""What is compared: the lab's own variants, one of them on another loop, and servers of the user's own."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.client.outcomes import split_address
from loadtest.compare.escaping import visible
from servers.variants import VARIANTS

OWN_COLOURS: Final = ("#F0E442", "#56B4E9", "#E69F00", "#999999")
"""For servers of the user's own, one after another: what is left of Okabe and Ito's palette, and grey."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    One server under comparison.

    name: its row, its colour's class and its place in the result. title, sentence: for a reader. colour: #RRGGBB.
    variant: the row of servers/variants.py that it is; "" if it is none of the lab's. options: its command line's.
    command: starts one of the user's own; "{port}" stands for a free port of loopback.
    address: where one of the user's own runs already, as "host:port"; metrics: its /metrics, "" if it has none.
    """

    name: str
    title: str
    sentence: str
    colour: str
    variant: str = ""
    options: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    address: str = ""
    metrics: str = ""

    @property
    def label(self) -> str:
        """Its name in a report: of one on an event loop with which loop, for that makes the measures."""
        return f"{self.variant} on {self._loop}" if self._loop else visible(self.name)

    @property
    def _loop(self) -> str:
        """The event loop that one of the lab's runs on, "" if it has none."""
        if self.variant not in _ON_A_LOOP:
            return ""
        return "stdlib" if self.options[-2:] == ("--loop", "asyncio") else "uvloop"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data; `from_json` takes it back."""
        return asdict(self)


_ON_A_LOOP: Final = frozenset(variant.name for variant in VARIANTS if variant.connection != "blocking")


def from_json(raw: dict[str, Any]) -> Candidate:
    """Return the candidate that `as_json` gave; KeyError or TypeError if it is none."""
    return Candidate(**{**raw, "options": tuple(raw["options"]), "command": tuple(raw["command"])})


def _of_the_lab() -> Iterable[Candidate]:
    for each in VARIANTS:
        # Said outright, or TCPLAB_LOOP would make it another one under the same name.
        options = ("--loop", "uvloop") if each.name in _ON_A_LOOP else ()
        yield Candidate(each.name, each.title, each.sentence, each.colour, variant=each.name, options=options)
        if each.name == "asyncio":
            yield Candidate(
                "asyncio-stdlib",
                "asyncio on the standard library's loop",
                "The same server on the standard library's event loop in place of uvloop.",
                "#56B4E9",
                variant=each.name,
                options=("--loop", "asyncio"),
            )


LAB: Final = {candidate.name: candidate for candidate in _of_the_lab()}
"""Those that the lab brings, by name, in the order in which they are shown."""

TEXTBOOK: Final = ("single", "threaded", "asyncio")
"""Those whom the textbook compares."""


def own(text: str, number: int) -> Candidate:
    """
    Return the user's own server from what was typed; ValueError, a line, if it is none.

    text: "NAME=HOST:PORT", "NAME=HOST:PORT http://HOST:PORT/metrics" or "NAME=COMMAND WITH {port}". number: how many
    there were before, for a colour.
    """
    name, found, rest = text.partition("=")
    rest = rest.strip()
    if not found or not _NAME.fullmatch(name):
        raise ValueError(
            f"{text!r} is no server: give NAME=HOST:PORT, or NAME='COMMAND ... {{port}}'; a name has up to 16 of a-z,"
            " 0-9 and -"
        )
    if name in LAB:
        raise ValueError(f"{name} is the name of a server of the lab's; give yours another one")
    colour = OWN_COLOURS[number % len(OWN_COLOURS)]
    if "{port}" in rest:
        try:
            command = tuple(shlex.split(rest))
        except ValueError as error:
            raise ValueError(f"the command of {name} can't be read: {error}") from None
        return Candidate(name, name, f"Your own: {rest}", colour, command=command)
    address, _, metrics = rest.partition(" ")
    try:
        split_address(address if metrics.startswith("http://") else rest)
    except ValueError as error:
        raise ValueError(
            f"{rest!r} is neither the address of {name} ({error}) nor a command with {{port}} in the place of its port"
        ) from None
    return Candidate(name, name, f"Your own, at {address}", colour, address=address, metrics=metrics)
