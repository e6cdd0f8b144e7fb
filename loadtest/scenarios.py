"""The scenarios: what the clients of a run do, as plain data. A new one is one entry in SCENARIOS."""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

MIN_SIZE: Final = 40
"""Bytes a message needs so that no other message has the same text (see script.play)."""

MAX_SIZE: Final = 65_000
"""Bytes that fit into a line of the wire together with any command."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What each client does, over and over: connect, ask and think, leave, stay away.

    name: what a user types. sentence: what it shows. compare: what may fairly be compared in it.
    requests: requests on one connection, then the client leaves; None: it stays for good.
    think, think_spread: seconds between a reply and the next request, drawn evenly from mean * (1 ± spread).
    away, away_spread: seconds between leaving and the next connection, drawn likewise.
    command, amount: what is asked of the server: ECHO, SLEEP <amount ms> or WORK <amount rounds>.
    size: bytes of a message's text.
    alone: the variants are to be loaded one after another; all at once they compete for the cores.
    """

    name: str
    sentence: str
    compare: str
    requests: int | None
    think: float = 0.0
    think_spread: float = 0.5
    away: float = 0.0
    away_spread: float = 0.5
    command: Literal["ECHO", "SLEEP", "WORK"] = "ECHO"
    amount: int = 0
    size: int = 64
    alone: bool = False

    def tuned(self, *, think: float | None = None, size: int | None = None) -> Self:
        """Return this scenario with another think time (seconds) or message size (bytes); ValueError if it can't be."""
        if think is not None and not 0 <= think <= 3600:
            raise ValueError(f"the think time is {think:g} s; choose from 0 to 3600")
        if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"the message size is {size} bytes; choose from {MIN_SIZE} to {MAX_SIZE}")
        return replace(self, think=self.think if think is None else think, size=self.size if size is None else size)


_ALL: Final = (
    Scenario(
        name="conversation",
        sentence="Clients come, ask five times with pauses, leave, and come back: who waits for whom?",
        compare="The wait for the first reply, and the latency after it. The single server's rate is one over the time"
        " that a conversation takes, by construction: it makes clients wait, which is not the same as being slow.",
        requests=5,
        think=0.1,
        away=1.0,
    ),
    Scenario(
        name="saturate",
        sentence="Clients stay and never pause: how fast can it go, and what does a request cost?",
        compare="Top speed and CPU per request, one variant after another. The single server is compared at one"
        " client; with more it serves one of them and says nothing to the rest.",
        requests=None,
        alone=True,
    ),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}

DEFAULT: Final = "conversation"
