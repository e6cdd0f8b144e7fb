"""The scenarios: what the clients of a run do, as plain data. A new one is one row."""

from dataclasses import asdict, dataclass, replace
from math import log
from statistics import NormalDist
from typing import Any, Final, Literal, Self

MIN_SIZE: Final = 40
"""The least bytes of a message that make its text unique (see client/script.py)."""

MAX_SIZE: Final = 65_000
"""The most bytes that fit into a line of the wire with any command."""


@dataclass(frozen=True, slots=True)
class Loads:
    """
    A scenario's defaults in a comparison.

    clients: numbers of clients for each server. warmup, seconds: of a run. thorough: numbers of clients in a thorough
    comparison, () if it isn't in one. think: replaces the scenario's think time. rates: requests per second, if it is
    paced; (): shares of what the servers reach. slo: of the rates, where the usual one doesn't suit its requests.
    """

    clients: tuple[int, ...] = (30,)
    warmup: int = 5
    seconds: int = 10
    thorough: tuple[int, ...] = ()
    think: float | None = None
    rates: tuple[float, ...] = ()
    slo: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    What each client does, over and over: connect, ask and think, leave, stay away.

    name: what a user types. sentence: what it shows. does: what a client does, in words. compare: what may fairly be
    compared in it. loads: its defaults in a comparison.
    requests: requests on one connection, then the client leaves; None: it stays for ever.
    think, think_spread: seconds between a reply and the next request, drawn evenly from mean * (1 ± spread).
    away, away_spread: seconds between leaving and the next connection, drawn likewise.
    command, amount: the request: ECHO, SLEEP <amount ms> or WORK <amount rounds>.
    amount_p99: the p99 of amounts that are drawn from a lognormal distribution, whose median is `amount`; 0: all alike.
    share: of the requests, drawn one by one, that are this one; the others are an ECHO.
    size: bytes of a message's text.
    stall: seconds that one client of each variant, in each load process, waits in the middle of each connection's
    second request; 0: none does.
    paced: requests fall due on a schedule (the open model), not after thinking and staying away; in a row: always.
    alone: load the variants one after another, because at the same time they compete for the cores.
    neighbour: what one more client of each variant does, in each load process; its figures are kept apart.
    """

    name: str
    sentence: str
    does: str
    compare: str
    requests: int | None
    think: float = 0.0
    think_spread: float = 0.5
    away: float = 0.0
    away_spread: float = 0.5
    command: Literal["ECHO", "SLEEP", "WORK"] = "ECHO"
    amount: int = 0
    amount_p99: int = 0
    share: float = 1.0
    size: int = 64
    stall: float = 0.0
    paced: bool = False
    alone: bool = False
    loads: Loads = Loads()
    neighbour: "Scenario | None" = None

    @property
    def log_amount(self) -> tuple[float, float]:
        """The mean and the standard deviation of the logarithm of amounts that are drawn."""
        return log(self.amount), log(self.amount_p99 / self.amount) / NormalDist().inv_cdf(0.99)

    @property
    def settles(self) -> bool:
        """
        Whether a short slice of its figures is like the next one: clients stay and ask all the time.

        Others come and go or pause: waits go on growing until the whole queue was served once, and everybody has asked
        only after the longest pause, which no slice shows.
        """
        return self.requests is None and not self.stall and (self.paced or not self.think)

    def as_json(self) -> dict[str, Any]:
        """Return the part of the row that a result keeps; of a neighbour, what it asks."""
        kept = {name: value for name, value in asdict(self).items() if name not in {"does", "loads"}}
        return {**kept, "neighbour": f"{self.neighbour.command} {self.neighbour.amount}" if self.neighbour else ""}

    def tuned(self, *, think: float | None = None, size: int | None = None, paced: bool = False) -> Self:
        """Return a copy with this think time (seconds) and size (bytes), or in the open model; ValueError if bad."""
        if think is not None and not 0 <= think <= 3600:
            raise ValueError(f"the think time is {think:g} s; choose from 0 to 3600")
        if size is not None and not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"the message size is {size} bytes; choose from {MIN_SIZE} to {MAX_SIZE}")
        paced = paced or self.paced
        if paced and think is not None:
            raise ValueError("a rate sets when requests fall due, a think time how long clients pause: choose one")
        think = self.think if think is None else think
        return replace(self, think=think, size=self.size if size is None else size, paced=paced)


# Where clients queue at the single server, waits are steady only after one whole queue (30 conversations of 70 ms, 50
# waits of 50 ms), and as much time again measures them. Where clients never pause, even one sends tens of thousands of
# requests in two seconds.
_ALL: Final = (
    Scenario(
        name="saturate",
        sentence="Clients stay and never pause: how fast is a server, and what does a request cost?",
        does="stays, never pauses",
        compare="top speed and CPU per request, one server after another; single with one client only: it serves one"
        " client and lets the others wait",
        requests=None,
        alone=True,
        loads=Loads((1, 50), warmup=1, seconds=2, thorough=(1, 50)),
    ),
    Scenario(
        name="conversation",
        sentence="Clients come, ask five times with pauses, leave, and come back: who waits for whom?",
        does="connects, asks 5 times with 15 ms ± 50 % between, leaves, stays away 1 s ± 50 %",
        compare="the wait for the first reply, and the latency after it. At single, a conversation's length sets the"
        " rate: its clients wait, which does not mean that it is slow",
        requests=5,
        think=0.015,
        away=1.0,
        loads=Loads((30,), warmup=6, seconds=12, thorough=(100,)),
    ),
    Scenario(
        name="rates",
        sentence="Clients stay, and requests come at a rate, half of them to compute: how long do they take, and up to"
        " which rate?",
        does="stays, asks at `--rate`, half for an ECHO and half for 2,400 rounds of WORK, drawn one by one",
        compare="response times and CPU per request at the same rate, one server after another; the highest rate"
        " within an objective; single with one client",
        requests=None,
        command="WORK",
        amount=2_400,
        share=0.5,
        paced=True,
        alone=True,
        # A second at a rate: thousands of requests, of which a part comes before it settles.
        loads=Loads((1, 50), warmup=1, seconds=1, thorough=(50, 1000, 5000)),
    ),
    Scenario(
        name="churn",
        sentence="Each client connects, asks once, leaves, and comes back at once: what does accepting a client cost?",
        does="connects, asks once, leaves, comes back at once",
        compare="connections per second and CPU per connection, one server after another, any number of clients",
        requests=1,
        alone=True,
        loads=Loads((50,), warmup=1, seconds=3),
    ),
    Scenario(
        name="crowd",
        sentence="Thousands are connected and each asks every 20 s or so: what does a connected client cost?",
        does="stays, asks every 20 s ± 50 %",
        compare="memory and threads per client; at single, how many wait and how long",
        requests=None,
        think=20.0,
        # A client that thinks for 4 s sends its second request after 2 to 6 s.
        loads=Loads((1000,), warmup=6, seconds=6, thorough=(1000,), think=4.0),
    ),
    Scenario(
        name="slow-client",
        sentence="One client stops for 2 s in the middle of its request, the others are quick: who waits for whom?",
        does="connects, asks twice, leaves, stays away 0.5 s ± 50 %; one client stalls for 2 s in its second request",
        compare="the wait for the first reply: which clients wait for the one that stalls",
        requests=2,
        away=0.5,
        stall=2.0,
        # A round of the stalling client takes about 2.5 s.
        loads=Loads((30,), warmup=3, seconds=8, thorough=(30,)),
    ),
    Scenario(
        name="io-bound",
        sentence="Each request waits 50 ms, as for a database: which models overlap the waits?",
        does="connects, sends a request that waits 50 ms, leaves",
        compare="throughput, any number of clients: each asks once, and the wait is clients / throughput",
        requests=1,
        command="SLEEP",
        amount=50,
        loads=Loads((50,), warmup=3, seconds=5),
    ),
    Scenario(
        name="cpu-bound",
        sentence="Each request computes for some milliseconds in pure Python: who is served meanwhile?",
        does="connects, sends a request that computes for some milliseconds, leaves",
        compare="throughput and CPU per request, one server after another, any number of clients: each asks once, and"
        " the wait is clients / throughput",
        requests=1,
        command="WORK",
        amount=50_000,
        alone=True,
        loads=Loads((10,), warmup=1, seconds=4),
    ),
    Scenario(
        name="noisy-neighbour",
        sentence="Forty clients ask for an ECHO now and then, and one more computes without pause: how long do they"
        " wait for it?",
        does="stays, asks at `--rate`; one client more sends the largest WORK, again and again",
        compare="response times at the same rate, one server after another, beside what one WORK takes; not CPU per"
        " request, in which the WORK is too",
        requests=None,
        paced=True,
        alone=True,
        # A p99.9 takes 5,000 replies.
        loads=Loads((40,), warmup=2, seconds=25, rates=(200.0,)),
        neighbour=Scenario(
            name="noisy",
            sentence="Computes without pause.",
            does="stays, sends the largest WORK, again and again",
            compare="nothing: it is what the others are measured beside",
            requests=None,
            command="WORK",
            amount=1_000_000,
        ),
    ),
    Scenario(
        name="database",
        sentence="Each request waits as for a database, mostly some 5 ms and now and then 80: which model breaks at"
        " which rate?",
        does="connects, at `--rate`, sends a request that waits (5 ms in the median, 80 ms at p99), leaves",
        compare="the wait for the first reply at the same rate, one server after another; the highest rate within an"
        " objective",
        requests=1,
        command="SLEEP",
        amount=5,
        amount_p99=80,
        paced=True,
        alone=True,
        # Of 400 clients enough are free at any rate here: at 4,000/s some 40 wait for their database.
        loads=Loads(
            (400,), warmup=1, seconds=3, rates=(50.0, 200.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0), slo="p99<250ms"
        ),
    ),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}

DEFAULT: Final = "conversation"
