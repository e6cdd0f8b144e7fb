"""The candidates of a comparison: the lab's variants (more of them in conditions.py), and the user's own servers."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from loadtest.client.outcomes import split_address
from loadtest.compare.escaping import visible
from servers.variants import VARIANTS

OWN_COLOURS: Final = ("#F0E442", "#56B4E9", "#E69F00", "#999999")
"""For the user's own servers, in order: the rest of Okabe and Ito's palette, and grey."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server under comparison."""

    name: str  # identifies it in the result
    title: str
    sentence: str
    colour: str  # #RRGGBB
    variant: str = ""  # its row of servers/variants.py; "" if it is the user's own
    options: tuple[str, ...] = ()  # for the command line
    command: tuple[str, ...] = ()  # starts a server of the user's; "{port}" stands for a free port of loopback
    address: str = ""  # "host:port" of a server that already runs
    metrics: str = ""  # its /metrics
    folder: str = ""  # where its command runs; "" for this checkout
    version_of: str = ""  # the name of the candidate of which it is an earlier revision
    python: str = ""  # the program that runs one of the lab's; "" for the one that runs this
    cores: int = 0  # how many it may use; 0 for those that all have
    condition: str = ""  # what tells it apart from others of the same variant and loop

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
    def alone(self) -> bool:
        """Whether it serves one client at a time."""
        return (self.variant or self.version_of or self.name) in _ONE_AT_A_TIME

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready data for `from_json`."""
        return asdict(self)


_ON_A_LOOP: Final = frozenset(variant.name for variant in VARIANTS if variant.connection != "blocking")
_ONE_AT_A_TIME: Final = frozenset(variant.name for variant in VARIANTS if variant.clients == 1)


def from_json(raw: dict[str, Any]) -> Candidate:
    """Return the candidate from `as_json`; KeyError or TypeError on bad data."""
    return Candidate(**{**raw, "options": tuple(raw["options"]), "command": tuple(raw["command"])})


def on_loop(usual: Candidate, loop: str) -> Candidate:
    """Return one of the lab's servers on another event loop than uvloop."""
    its = "the standard library's loop" if loop == "asyncio" else loop
    return replace(
        usual,
        name=f"{usual.name}-{'stdlib' if loop == 'asyncio' else loop}",
        title=f"{usual.name} on {its}",
        sentence=f"The same server as {usual.name} on {its}, in place of uvloop.",
        options=("--loop", loop),
    )


def _of_the_lab() -> Iterator[Candidate]:
    for each in VARIANTS:
        # Explicit, because TCPLAB_LOOP would change the loop under the same name.
        options = ("--loop", "uvloop") if each.name in _ON_A_LOOP else ()
        usual = Candidate(each.name, each.title, each.sentence, each.colour, variant=each.name, options=options)
        yield usual
        if each.name == "asyncio":
            yield replace(on_loop(usual, "asyncio"), colour="#56B4E9")


LAB: Final = {candidate.name: candidate for candidate in _of_the_lab()}
"""The lab's own, by name, in the order of reports."""

TEXTBOOK: Final = ("single", "threaded", "asyncio")  # those that the textbook compares


def own(text: str, number: int) -> Candidate:
    """Return the user's own server, as --server names it; ValueError with a line on a bad one. number: for a colour."""
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
