"""
The candidates of a comparison: the lab's variants, one also on another loop, and the user's own servers.

conditions.py makes more of them.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.client.outcomes import split_address
from loadtest.compare.escaping import visible
from servers.variants import VARIANTS

OWN_COLOURS: Final = ("#F0E442", "#56B4E9", "#E69F00", "#999999")
"""For the user's own servers, in order: the rest of Okabe and Ito's palette, and grey."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    One server under comparison.

    name: identifies it in the result. title, sentence: for a reader. colour: #RRGGBB. variant: its row of
    servers/variants.py; "" if it is the user's own. options: for the command line.
    command: starts a server of the user's; "{port}" stands for a free port of loopback. address: "host:port" of a
    server that already runs. metrics: its /metrics, "" without any. folder: where its command runs; "" for this
    checkout. version_of: the name of the candidate of which it is an earlier revision; "" if it is none. python: the
    program that runs one of the lab's; "" for the one that runs this. cores: how many it may use; 0 for those that all
    have. condition: what tells it apart from others of the same variant and loop; "" if nothing does.
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
    folder: str = ""
    version_of: str = ""
    python: str = ""
    cores: int = 0
    condition: str = ""

    @property
    def label(self) -> str:
        """Its name in a report, with what determines the measures: its event loop and its condition."""
        if not self.variant:
            return visible(self.name)
        on = f" on {'stdlib' if self.loop == 'asyncio' else self.loop}" if self.loop else ""
        return visible(f"{self.variant}{on}{f', {self.condition}' if self.condition else ''}")

    @property
    def loop(self) -> str:
        """The event loop of a lab's variant; "" if it has none."""
        if self.variant not in _ON_A_LOOP:
            return ""
        return self.options[self.options.index("--loop") + 1] if "--loop" in self.options else "uvloop"

    @property
    def package(self) -> str:
        """The package of its event loop; "" if it needs none."""
        return self.loop if self.loop != "asyncio" else ""

    @property
    def alone(self) -> bool:
        """Whether it serves one client at a time."""
        return (self.variant or self.version_of or self.name) in ONE_AT_A_TIME

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data for `from_json`."""
        return asdict(self)


_ON_A_LOOP: Final = frozenset(variant.name for variant in VARIANTS if variant.connection != "blocking")


def from_json(raw: dict[str, Any]) -> Candidate:
    """Return the candidate from `as_json`; KeyError or TypeError on bad data."""
    return Candidate(**{**raw, "options": tuple(raw["options"]), "command": tuple(raw["command"])})


def _of_the_lab() -> Iterable[Candidate]:
    for each in VARIANTS:
        # Explicit, because TCPLAB_LOOP would change the loop under the same name.
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
"""The lab's own, by name, in the order of reports."""

TEXTBOOK: Final = ("single", "threaded", "asyncio")
"""Those that the textbook compares."""

ONE_AT_A_TIME: Final = tuple(variant.name for variant in VARIANTS if variant.clients == 1)
"""Those that serve one client at a time; the others are concurrent."""


def own(text: str, number: int) -> Candidate:
    """
    Return the user's own server from an option; ValueError with a line on a bad one.

    text: "NAME=HOST:PORT", "NAME=HOST:PORT http://HOST:PORT/metrics" or "NAME=COMMAND WITH {port}". number: its index,
    for a colour.
    """
    name, found, rest = text.partition("=")
    rest = rest.strip()
    if not found or not _NAME.fullmatch(name):
        raise ValueError(
            f"{text!r} is not a server: give NAME=HOST:PORT, or NAME='COMMAND ... {{port}}'; a name has up to 16 of"
            " a-z, 0-9 and -"
        )
    if name in LAB:
        raise ValueError(f"{name} is the name of one of the lab's servers; choose another name")
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
