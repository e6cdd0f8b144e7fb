"""What is counted, as plain data that can be added up and sent: for a variant, for its clients now, for a process."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from loadtest.recording.histogram import Histogram, Quantile, merge, quantile

SERIES: Final = ("response", "service", "connect", "first_reply")

OUTCOMES: Final = ("verified", "timeout", "corrupt", "closed", "reset", "refused")
"""
How a request that was sent can end: with the right reply; without one in time; with other bytes than the right ones;
with the connection closed, or reset, before the reply; with ERR instead of OK (a server past its limit says so).
"""

KINDS: Final = ("first", "later")
"""Of replies: a connection's first one, and those after it."""

CONNECTIONS: Final = ("connected", "refused", "timeout", "reset", "no_port", "failed")
"""
How a connect can end. refused: also by a name or a host that was there and is gone. no_port: this machine has run out
of local ports. failed: anything else.
"""

BREAKS: Final = ("corrupt", "closed", "reset")
"""
How a connection can break while no request is open on it: by bytes that nobody had asked for, or by its end. No request
has failed by it, so it stands apart from their outcomes.
"""


def _zeros(names: Iterable[str]) -> Callable[[], dict[str, int]]:
    return lambda: dict.fromkeys(names, 0)


def _histograms(names: Iterable[str]) -> Callable[[], dict[str, Histogram]]:
    return lambda: {name: {} for name in names}


@dataclass(slots=True)
class Counters:
    """
    What was counted for one variant.

    sent: requests sent. carried: requests already open when the phase began. outcomes, connections: by their names.
    abandoned: requests whose client was stopped before the reply. unanswered: open when the phase was closed.
    late_sends: sends that left more than LATE after their time, by the generator's own fault. unsent: requests that
    fell due and were never sent: their connection still waited for a reply, or there was none. breaks: connections that
    broke with no request open, by BREAKS. clients_connected, clients_served: different clients that had a connection,
    or a verified reply (or had had one, and asked for nothing more). squares: each client's verified replies in the
    phase, squared and summed over the clients; over several phases it says nothing. histograms, censored: by series.
    overtaken, silent: of requests that were open in the end, by KINDS: by how much the latest request that was answered
    had been sent after them; and, of clients that had had a reply in the phase, for how long they had been open.
    """

    sent: int = 0
    carried: int = 0
    abandoned: int = 0
    unanswered: int = 0
    late_sends: int = 0
    unsent: int = 0
    clients_connected: int = 0
    clients_served: int = 0
    squares: int = 0
    outcomes: dict[str, int] = field(default_factory=_zeros(OUTCOMES))
    connections: dict[str, int] = field(default_factory=_zeros(CONNECTIONS))
    breaks: dict[str, int] = field(default_factory=_zeros(BREAKS))
    histograms: dict[str, Histogram] = field(default_factory=_histograms(SERIES))
    censored: dict[str, Histogram] = field(default_factory=_histograms(SERIES))
    overtaken: dict[str, Histogram] = field(default_factory=_histograms(KINDS))
    silent: dict[str, Histogram] = field(default_factory=_histograms(KINDS))

    @property
    def verified(self) -> int:
        """Requests that got the right reply."""
        return self.outcomes["verified"]

    @property
    def errors(self) -> dict[str, int]:
        """Requests that were sent and failed, by kind."""
        return {name: number for name, number in self.outcomes.items() if name != "verified"}

    @property
    def imbalance(self) -> int:
        """Requests by which conservation is violated: 0 unless the recorder is wrong."""
        return self.sent + self.carried - sum(self.outcomes.values()) - self.abandoned - self.unanswered

    @property
    def fairness(self) -> float | None:
        """
        Jain's index over the verified replies of the n clients connected in the phase: from 1/n, one had all, to 1.

        (sum x)^2 / (n * sum x^2), x = 0 for who had none; None if nobody had any. Jain, Chiu, Hawe: A quantitative
        measure of fairness and discrimination for resource allocation in shared computer systems, DEC-TR-301, 1984.
        """
        divisor = self.clients_connected * self.squares
        return self.verified**2 / divisor if divisor else None

    @property
    def longest_wait(self) -> Quantile | None:
        """
        The longest that a client had waited for a reply, the first one or a later one, when the phase ended.

        In microseconds; None if nobody waited. at_least: that one has not had its reply, or some gave up (a timeout),
        and theirs would have taken longer.
        """
        series = ("response", "first_reply")
        done = max((microseconds for name in series for microseconds in self.histograms[name]), default=-1)
        age = max((microseconds for name in series for microseconds in self.censored[name]), default=-1)
        if done < 0 and age < 0:
            return None
        gave_up = self.outcomes["timeout"] + self.connections["timeout"] > 0
        return Quantile(max(done, age), age >= done or gave_up)

    def add(self, other: Self) -> None:
        """Add what another counters counted."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        merge(self.outcomes, other.outcomes)
        merge(self.connections, other.connections)
        merge(self.breaks, other.breaks)
        for series in SERIES:
            merge(self.histograms[series], other.histograms[series])
            merge(self.censored[series], other.censored[series])
        for kind in KINDS:
            merge(self.overtaken[kind], other.overtaken[kind])
            merge(self.silent[kind], other.silent[kind])

    def to_wire(self) -> dict[str, Any]:
        """Return it as plain dicts of numbers."""
        return {name: getattr(self, name) for name in (*_NUMBERS, *_DICTS)}

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Return the counters that `to_wire` gave."""
        return cls(**data)


_NUMBERS: Final = (
    "sent",
    "carried",
    "abandoned",
    "unanswered",
    "late_sends",
    "unsent",
    "clients_connected",
    "clients_served",
    "squares",
)
_DICTS: Final = ("outcomes", "connections", "breaks", "histograms", "censored", "overtaken", "silent")


PENDING: Final = 1_000_000
"""Microseconds after which a connect that has no answer is stuck: as long as the first SYN's repetition takes."""


class Gauges(NamedTuple):
    """
    What is, now, for one variant.

    users: clients, connected or away. connected: with a connection. served: of those, with a reply on it.
    unserved: of those connected, the ones that have had no reply in the whole phase. pending: connecting for longer
    than PENDING. unanswered: requests. unsent: requests that are due and not sent.
    """

    users: int
    connected: int
    served: int
    unserved: int
    pending: int
    unanswered: int
    unsent: int


@dataclass(slots=True)
class Effort:
    """
    What the load process itself did.

    cpu_seconds: processor time used. seconds: time that passed. busy_seconds: of those, the ones in which its event
    loop did not wait for anything: it worked, or wanted to and was not let. starved_seconds: time in which it could
    have run and waited for a core, as the kernel tells. stolen_seconds: processor time that its host kept back, over
    all cores. lag: histogram of how late its loop woke up. conntrack_ratio: the share of its machine's
    connection-tracking table that was in use, at most.
    """

    cpu_seconds: float = 0.0
    seconds: float = 0.0
    busy_seconds: float = 0.0
    starved_seconds: float = 0.0
    stolen_seconds: float = 0.0
    lag: Histogram = field(default_factory=dict)
    conntrack_ratio: float = 0.0

    @property
    def cpu_ratio(self) -> float:
        """Share of one core that it used."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    @property
    def busy_ratio(self) -> float:
        """Share of the time in which its event loop had no moment to wait."""
        return self.busy_seconds / self.seconds if self.seconds else 0.0

    @property
    def starved_ratio(self) -> float:
        """Share of the time in which it waited for a core that others had."""
        return self.starved_seconds / self.seconds if self.seconds else 0.0

    @property
    def stolen_ratio(self) -> float:
        """Share of one core that the host kept back."""
        return self.stolen_seconds / self.seconds if self.seconds else 0.0

    @property
    def lag_p99(self) -> float:
        """Seconds of lag that 99 % of its wake-ups kept within; 0 without any."""
        found = quantile(self.lag, 0.99)
        return found.microseconds / 1e6 if found else 0.0

    def add(self, other: Self) -> None:
        """Add another stretch of it."""
        self.cpu_seconds += other.cpu_seconds
        self.seconds += other.seconds
        self.busy_seconds += other.busy_seconds
        self.starved_seconds += other.starved_seconds
        self.stolen_seconds += other.stolen_seconds
        merge(self.lag, other.lag)
        self.conntrack_ratio = max(self.conntrack_ratio, other.conntrack_ratio)


class Strain(NamedTuple):
    """The most that any of some load processes bore; each as in Effort."""

    cpu_ratio: float = 0.0
    busy_ratio: float = 0.0
    starved_ratio: float = 0.0
    stolen_ratio: float = 0.0
    lag_p99: float = 0.0
    conntrack_ratio: float = 0.0


def total(stretches: Iterable[Effort]) -> Effort:
    """Return the sum of a process's stretches of effort."""
    effort = Effort()
    for stretch in stretches:
        effort.add(stretch)
    return effort


def worst(strains: Collection[Strain]) -> Strain:
    """Return the most of each; zeros without any."""
    return Strain(*map(max, zip(*strains, strict=True)))


def strain(efforts: Collection[Effort]) -> Strain:
    """Return what the worst off of these processes bore, in each respect; zeros without any."""
    return Strain(*(max((getattr(effort, name) for effort in efforts), default=0.0) for name in Strain._fields))
