"""The scenarios: what the clients of a run do, as plain data. A new one is one entry in SCENARIOS."""

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

MIN_SIZE: Final = 40
"""Bytes a message needs so that no other message has the same text (see client/script.py)."""

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
    share: of the requests, drawn one by one, that ask for it; the others ask for an ECHO.
    size: bytes of a message's text.
    dawdle: one client of each variant, in each load process, waits so many seconds in the middle of each connection's
    second request; 0: none does.
    paced: requests fall due on a schedule (the open model), which takes the place of thinking and staying away; in a
    row here: it is played in no other way.
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
    share: float = 1.0
    size: int = 64
    dawdle: float = 0.0
    paced: bool = False
    alone: bool = False

    def tuned(self, *, think: float | None = None, size: int | None = None, paced: bool = False) -> Self:
        """
        Return this scenario with another think time (seconds) or message size (bytes), or in the open model.

        Raises ValueError if it can't be.
        """
        if think is not None and not 0 <= think <= 3600:
            raise ValueError(f"the think time is {think:g} s; choose from 0 to 3600")
        if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"the message size is {size} bytes; choose from {MIN_SIZE} to {MAX_SIZE}")
        paced = paced or self.paced
        if paced and think is not None:
            raise ValueError(
                "a rate sets when requests fall due, a think time how long clients pause: choose one of them"
            )
        think = self.think if think is None else think
        return replace(self, think=think, size=self.size if size is None else size, paced=paced)


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
    Scenario(
        name="rates",
        sentence="Clients stay, and requests come at a rate, half of them to compute: how long do they take, and up to"
        " which rate?",
        compare="Response times and CPU per request at the same rate, one variant after another; then the highest rate"
        " with response times within an objective. The single server is compared at one client.",
        requests=None,
        command="WORK",
        amount=2_400,
        share=0.5,
        paced=True,
        alone=True,
    ),
    Scenario(
        name="churn",
        sentence="Each client connects, asks once, leaves, and comes back at once: what does accepting a client cost?",
        compare="Connections per second and CPU per connection, one variant after another, at any number of clients.",
        requests=1,
        alone=True,
    ),
    Scenario(
        name="crowd",
        sentence="Thousands are connected and each asks every 20 s or so: what does a client cost by being there?",
        compare="Memory and threads per client. The single server serves one of them: how many wait, and how long, is"
        " the answer there, not missing data.",
        requests=None,
        think=20.0,
    ),
    Scenario(
        name="slow-client",
        sentence="One client stops for 2 s in the middle of its request, the others are quick: who waits for whom?",
        compare="The wait for the first reply, at every variant: of all clients, of which one stalls.",
        requests=2,
        away=0.5,
        dawdle=2.0,
    ),
    Scenario(
        name="io-bound",
        sentence="Each request waits 50 ms, as for a database: who overlaps the waiting?",
        compare="Throughput, at any number of clients: each asks once, and the wait is clients / throughput.",
        requests=1,
        command="SLEEP",
        amount=50,
    ),
    Scenario(
        name="cpu-bound",
        sentence="Each request computes for some milliseconds in pure Python: who is served while others compute?",
        compare="Throughput and CPU per request, one variant after another, at any number of clients: each asks once,"
        " and the wait is clients / throughput.",
        requests=1,
        command="WORK",
        amount=50_000,
        alone=True,
    ),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}

DEFAULT: Final = "conversation"
