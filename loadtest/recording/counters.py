"""The counts as plain data that can be added and sent: of a variant, of its clients now, of a process."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from loadtest.recording.histogram import Histogram, Quantile, merge, quantile

SERIES: Final = ("response", "service", "connect", "first_reply")

OUTCOMES: Final = ("verified", "timeout", "corrupt", "closed", "reset", "refused")
"""
How a sent request can end: with the right reply; without one in time; with wrong bytes; with the connection closed, or
reset, before the reply; with ERR instead of OK (from a server past its limit).
"""

KINDS: Final = ("first", "later")
"""A connection's first reply, and those after it."""

CONNECTIONS: Final = ("connected", "refused", "timeout", "reset", "no_port", "failed")
"""
How a connect can end. refused: also a name or host that has gone. no_port: this machine has no free local port.
failed: anything else.
"""

BREAKS: Final = ("corrupt", "closed", "reset")
"""
How a connection can break with no request open on it: by unrequested bytes, or by its end. This is not a request's
outcome, because no request failed.
"""


def _zeros(names: Iterable[str]) -> Callable[[], dict[str, int]]:
    return lambda: dict.fromkeys(names, 0)


def _histograms(names: Iterable[str]) -> Callable[[], dict[str, Histogram]]:
    return lambda: {name: {} for name in names}


@dataclass(slots=True)
class Counters:
    """
    The counts of one variant.

    sent: requests. carried: requests already open when the phase began. abandoned: requests whose client stopped before
    the reply. unanswered: open when the phase closed. late_sends: sent more than LATE after their time, by the
    generator's own delay. unsent: fell due and were never sent: their connection waited for a reply, or there was none.
    clients_connected, clients_served: different clients that had a connection, or a verified reply (or had one before,
    and sent nothing since). squares: sum of the squares of each client's verified replies in one phase, invalid for
    more. histograms, censored: by SERIES. overtaken, silent: by KINDS, of the requests open at the end: how
    much later the latest answered request was sent; and the age, if their client had a reply in the phase. send_delay:
    of requests that fell due while their client was free to send, how late they left: the generator's own delay.
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
    send_delay: Histogram = field(default_factory=dict)

    @property
    def verified(self) -> int:
        """Requests with the right reply."""
        return self.outcomes["verified"]

    @property
    def errors(self) -> dict[str, int]:
        """Failed requests, by kind."""
        return {name: number for name, number in self.outcomes.items() if name != "verified"}

    @property
    def imbalance(self) -> int:
        """Requests without an outcome: 0 unless the recorder is wrong."""
        return self.sent + self.carried - sum(self.outcomes.values()) - self.abandoned - self.unanswered

    @property
    def fairness(self) -> float | None:
        """
        Jain's index of the verified replies x of the n clients connected in the phase, from 1/n (one got all) to 1.

        (sum x)^2 / (n * sum x^2); None without replies. Jain, Chiu, Hawe: A quantitative measure of fairness and
        discrimination for resource allocation in shared computer systems, DEC-TR-301, 1984.
        """
        divisor = self.clients_connected * self.squares
        return self.verified**2 / divisor if divisor else None

    @property
    def longest_wait(self) -> Quantile | None:
        """
        A client's longest wait (microseconds) for a first or later reply by the phase's end; None without any.

        at_least: that reply has not come, or requests timed out, whose replies would have taken longer.
        """
        series = ("response", "first_reply")
        done = max((microseconds for name in series for microseconds in self.histograms[name]), default=-1)
        age = max((microseconds for name in series for microseconds in self.censored[name]), default=-1)
        if done < 0 and age < 0:
            return None
        gave_up = self.outcomes["timeout"] + self.connections["timeout"] > 0
        return Quantile(max(done, age), age >= done or gave_up)

    def add(self, other: Self) -> None:
        """Add another's counts."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        merge(self.outcomes, other.outcomes)
        merge(self.connections, other.connections)
        merge(self.breaks, other.breaks)
        merge(self.send_delay, other.send_delay)
        for series in SERIES:
            merge(self.histograms[series], other.histograms[series])
            merge(self.censored[series], other.censored[series])
        for kind in KINDS:
            merge(self.overtaken[kind], other.overtaken[kind])
            merge(self.silent[kind], other.silent[kind])

    def to_wire(self) -> dict[str, Any]:
        """Return plain dicts of numbers."""
        return {name: getattr(self, name) for name in (*_NUMBERS, *_DICTS)}

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Return the counters from `to_wire`."""
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
_DICTS: Final = ("outcomes", "connections", "breaks", "histograms", "censored", "overtaken", "silent", "send_delay")

PENDING: Final = 1_000_000
"""Microseconds after which an unanswered connect is stuck: when the first SYN is repeated."""


class Gauges(NamedTuple):
    """
    The current state of one variant.

    users: clients, connected or away. served: of those connected, with a reply on the connection. unserved: of those
    connected, without a reply in the phase. pending: connecting for longer than PENDING. unanswered: requests. unsent:
    requests due but not sent. oldest: microseconds that the client has waited which waits longest for its first reply.
    """

    users: int
    connected: int
    served: int
    unserved: int
    pending: int
    unanswered: int
    unsent: int
    oldest: int

    def plus(self, other: "Gauges") -> "Gauges":
        """Return the state of both processes' clients."""
        sums = Gauges(*map(sum, zip(self, other, strict=True)))
        return sums._replace(oldest=max(self.oldest, other.oldest))


@dataclass(slots=True)
class Effort:
    """
    What a load process itself did.

    cpu_seconds: processor time used. seconds: time that passed. busy_seconds: time in which its event loop never
    waited: it worked, or was kept from its core. starved_seconds: time in which it was ready and waited for a core,
    according to the kernel. stolen_seconds: processor time that the host kept back, over all cores. lag: histogram of
    how late its loop woke up. conntrack_ratio: the highest share of the machine's connection-tracking table in use.
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
        """Cores used."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    @property
    def busy_ratio(self) -> float:
        """Share of the time in which its event loop never waited."""
        return self.busy_seconds / self.seconds if self.seconds else 0.0

    @property
    def starved_ratio(self) -> float:
        """Share of the time in which it waited for a core."""
        return self.starved_seconds / self.seconds if self.seconds else 0.0

    @property
    def stolen_ratio(self) -> float:
        """Cores that the host kept back."""
        return self.stolen_seconds / self.seconds if self.seconds else 0.0

    @property
    def lag_p99(self) -> float:
        """The p99 of its lag in seconds; 0 without any."""
        found = quantile(self.lag, 0.99)
        return found.microseconds / 1e6 if found else 0.0

    def add(self, other: Self) -> None:
        """Add the effort of another interval."""
        self.cpu_seconds += other.cpu_seconds
        self.seconds += other.seconds
        self.busy_seconds += other.busy_seconds
        self.starved_seconds += other.starved_seconds
        self.stolen_seconds += other.stolen_seconds
        merge(self.lag, other.lag)
        self.conntrack_ratio = max(self.conntrack_ratio, other.conntrack_ratio)


class Strain(NamedTuple):
    """The highest of each of Effort's ratios among load processes."""

    cpu_ratio: float = 0.0
    busy_ratio: float = 0.0
    starved_ratio: float = 0.0
    stolen_ratio: float = 0.0
    lag_p99: float = 0.0
    conntrack_ratio: float = 0.0


def total(stretches: Iterable[Effort]) -> Effort:
    """Return the sum of a process's efforts."""
    effort = Effort()
    for stretch in stretches:
        effort.add(stretch)
    return effort


def worst(strains: Collection[Strain]) -> Strain:
    """Return the highest of each field; zeros without any."""
    return Strain(*map(max, zip(*strains, strict=True)))


def strain(efforts: Collection[Effort]) -> Strain:
    """Return the highest of each ratio among these processes; zeros without any."""
    return Strain(*(max((getattr(effort, name) for effort in efforts), default=0.0) for name in Strain._fields))
