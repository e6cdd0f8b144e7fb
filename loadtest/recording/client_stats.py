"""What happens to each client and to all clients of a variant; a client records each request."""

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from loadtest.pacing import Schedule
from loadtest.recording.counters import PENDING, Counters, Gauges
from loadtest.recording.histogram import Histogram, count, count_progression, merge

OUTSIDE: Final = 0
"""The phase outside of a run's phases: it counts in the totals and in no result."""

JUST_NOW: Final = 1_000_000_000
"""Nanoseconds that a client served before may wait for a reply without counting as left waiting."""

SETTLE: Final = 1000
"""Durations that one histogram update takes: 0.1 ms of work at a time."""

LATE: Final = 5_000_000
"""Nanoseconds after its time from which a send is late, by the generator's own delay."""


class Phases(Protocol):
    """The current phase and the time: the Recorder."""

    phase: int
    clock: Callable[[], int]


class VariantStats:
    """
    One variant's counters, and its clients.

    even, responses, services, first: microseconds of verified replies until `settle`: later replies to requests that
    left when they were due; response and service times of the other later replies; first replies. delays: microseconds
    by which requests left late that their client was free to send.
    first_sent, later_sent: when the latest answered request was sent, by first and later replies.
    told: called with whether they are first replies, and with their histogram.
    """

    __slots__ = (
        "clients",
        "counters",
        "delays",
        "even",
        "first",
        "first_sent",
        "later_sent",
        "responses",
        "services",
        "told",
    )

    def __init__(self) -> None:
        self.counters = Counters()
        self.clients: set[ClientStats] = set()
        self.even: list[int] = []
        self.responses: list[int] = []
        self.services: list[int] = []
        self.first: list[int] = []
        self.delays: list[int] = []
        self.first_sent = 0
        self.later_sent = 0
        self.told: Callable[[bool, Histogram], None] | None = None

    def settle(self) -> None:
        """Move the durations into histograms."""
        for microseconds, number in Counter(self.delays).items():
            count(self.counters.send_delay, microseconds, number)
        self.delays.clear()
        for durations, series in (
            (self.even, ("response", "service")),
            (self.responses, ("response",)),
            (self.services, ("service",)),
            (self.first, ("first_reply",)),
        ):
            if durations:
                histogram: Histogram = {}
                for microseconds, number in Counter(durations).items():
                    count(histogram, microseconds, number)
                durations.clear()
                for name in series:
                    merge(self.counters.histograms[name], histogram)
                if self.told is not None and series != ("service",):
                    self.told(series == ("first_reply",), histogram)

    def gauges(self, phase: int, now: int) -> Gauges:
        """Count the clients' states in this phase; now: nanoseconds."""
        connected = served = unserved = unanswered = unsent = pending = oldest = 0
        for client_stats in self.clients:
            if client_stats.connected:
                connected += 1
                served += client_stats.served
                unserved += client_stats.served_in != phase and not client_stats.is_content(phase, now)
            unanswered += client_stats.sent_at > 0
            pending += client_stats.is_pending(now)
            oldest = max(oldest, client_stats.waited_for_first(now))
            if client_stats.schedule is not None:
                unsent += client_stats.is_kept_back + client_stats.schedule.owed(now)
        return Gauges(len(self.clients), connected, served, unserved, pending, unanswered, unsent, oldest // 1000)


class ClientStats:
    """
    Counts what one client does. Times are nanoseconds of one steady clock.

    served: it got a verified reply on its connection. served_in: the last phase with one. replies: verified ones in
    that phase, over all its connections. sent_at: when its open request was sent, 0 without one. schedule: when its
    requests fall due; None: when it wants to send them. retuned: called when the schedule changes, so that a sleeping
    client wakes up in time.
    """

    __slots__ = (
        "_asked",
        "_connected_in",
        "_connecting_since",
        "_due",
        "_recorder",
        "_squared",
        "_variant_stats",
        "connected",
        "replies",
        "retuned",
        "schedule",
        "sent_at",
        "served",
        "served_in",
    )

    def __init__(self, recorder: Phases, variant_stats: VariantStats) -> None:
        self._recorder = recorder
        self._variant_stats = variant_stats
        self._connecting_since = 0
        self._due = 0
        self._asked = 0
        self._connected_in = OUTSIDE
        self.schedule: Schedule | None = None
        self.retuned: Callable[[], object] | None = None
        self.served_in = OUTSIDE
        self.replies = 0
        self._squared = 0
        self.connected = False
        self.served = False
        self.sent_at = 0

    def started(self) -> None:
        """Count the client as a user from now on."""
        self._variant_stats.clients.add(self)

    def is_content(self, phase: int, now: int) -> bool:
        """Whether it counts as served in this phase without a reply, because it sent nothing, or only just now."""
        return self.served and self.served_in != phase and now - (self.sent_at or now) < JUST_NOW

    def is_pending(self, now: int) -> bool:
        """Whether it has been connecting for longer than PENDING."""
        return self._connecting_since > 0 and now - self._connecting_since > PENDING * 1000

    def waited_for_first(self, now: int) -> int:
        """Return the nanoseconds that it has waited for its connection's first reply; 0 if it waits for none."""
        waits = self._connecting_since > 0 or (self.sent_at > 0 and not self.served)
        return max(0, now - self._due) if waits else 0

    @property
    def is_kept_back(self) -> bool:
        """Whether its request is due but not sent: it is connecting, or stalls."""
        return self._asked > 0

    def due(self, when: int) -> None:
        """Record when its next request was due by a schedule, before it connects or sends."""
        self._asked = when

    def delayed(self, nanoseconds: int) -> None:
        """Record by how much the generator woke up late to send a request that was due."""
        self._variant_stats.delays.append(nanoseconds // 1000)

    def put_off(self, nanoseconds: int) -> None:
        """Record that the client itself delays its request; it and all later ones fall due so much later."""
        if self._asked:
            self._asked += nanoseconds
            if self.schedule is not None:
                self.schedule.put_off(nanoseconds, self._recorder.clock())

    def connecting(self, now: int) -> None:
        """Record that it begins to connect; its first request is due now, unless a schedule said when."""
        self._variant_stats.clients.add(self)  # a custom user may not have called `started`
        self._connecting_since = now
        self._due = self._asked or now

    def connected_at(self, now: int) -> None:
        """Record that the connection is open."""
        counters = self._variant_stats.counters
        counters.connections["connected"] += 1
        count(counters.histograms["connect"], (now - self._connecting_since) // 1000)
        self._connecting_since = 0
        self.connected = True
        self.served = False
        self.count_connected()

    def count_connected(self) -> None:
        """Count it among the clients connected in this phase, once."""
        if self._connected_in != self._recorder.phase:
            self._connected_in = self._recorder.phase
            self._variant_stats.counters.clients_connected += 1

    def connect_failed(self, outcome: str, now: int) -> int:
        """Record a failed connect: one of CONNECTIONS. Return its duration in nanoseconds."""
        counters = self._variant_stats.counters
        waited = now - self._connecting_since
        counters.connections[outcome] += 1
        if outcome == "timeout":
            count(counters.histograms["connect"], waited // 1000)
            count(counters.histograms["first_reply"], (now - self._due) // 1000)
        self._give_up_due(counters)
        self._connecting_since = 0
        return waited

    def _give_up_due(self, counters: Counters) -> None:
        """Count a due request that will not be sent."""
        if self._asked:
            counters.unsent += 1
            self._asked = 0

    def sent(self, now: int, *, late: bool = False) -> None:
        """
        Record a request just before its first byte leaves (of a request in pieces: the last piece's).

        It was due now, or by the schedule; a connection's first one at the start of connect() at the latest.
        late: it leaves more than LATE after its time, by the generator's own delay.
        """
        counters = self._variant_stats.counters
        counters.sent += 1
        if late:
            counters.late_sends += 1
        self.sent_at = now
        if self.served:
            self._due = self._asked if 0 < self._asked < now else now
        self._asked = 0

    def verified(self, now: int) -> int:
        """Record that the right reply is complete. Return the response time in nanoseconds."""
        variant_stats = self._variant_stats
        variant_stats.counters.outcomes["verified"] += 1
        response = now - self._due
        sent_at = self.sent_at
        if not self.served:
            self.served = True
            durations = variant_stats.first
            variant_stats.first_sent = max(variant_stats.first_sent, sent_at)
        else:
            if sent_at > variant_stats.later_sent:  # noqa: PLR1730 - max() would cost each reply 60 ns more
                variant_stats.later_sent = sent_at
            if self._due == sent_at:
                durations = variant_stats.even
            else:
                durations = variant_stats.responses
                variant_stats.services.append((now - sent_at) // 1000)
        durations.append(response // 1000)
        if len(durations) >= SETTLE:
            variant_stats.settle()
        self.sent_at = 0
        if self.served_in != self._recorder.phase:
            self.served_in = self._recorder.phase
            self.replies = self._squared = 0
            variant_stats.counters.clients_served += 1
        self.replies += 1
        return response

    def failed(self, outcome: str, now: int) -> int:
        """Record a failed request: one of OUTCOMES. Return its duration in nanoseconds."""
        counters = self._variant_stats.counters
        counters.outcomes[outcome] += 1
        response = now - self._due
        if outcome == "timeout":
            if self.served:
                count(counters.histograms["response"], response // 1000)
                count(counters.histograms["service"], (now - self.sent_at) // 1000)
            else:
                count(counters.histograms["first_reply"], response // 1000)
        self.sent_at = 0
        return response

    def broke(self, how: str) -> None:
        """Record that the connection broke with no request open on it: one of BREAKS."""
        self._variant_stats.counters.breaks[how] += 1

    def left(self) -> None:
        """Record that the connection is closed."""
        counters, phase = self._variant_stats.counters, self._recorder.phase
        self._give_up_due(counters)
        if self.connected and self.is_content(phase, self._recorder.clock()):
            counters.clients_served += 1
            self.served_in = phase
            self.replies = self._squared = 0
        self.connected = self.served = False

    def stopped(self, now: int) -> None:
        """Record that the client itself stops."""
        counters = self._variant_stats.counters
        counters.abandoned += self.enter_age(counters, now)
        self._asked = 0  # enter_age has counted it
        self.left()
        self.square()
        self.sent_at = self._connecting_since = 0
        self.schedule = self.retuned = None
        self._variant_stats.clients.discard(self)

    def square(self) -> None:
        """Update the counters' squares: once a second, because at each reply it would cost too much."""
        self._variant_stats.counters.squares += self.replies**2 - self._squared**2
        self._squared = self.replies

    def enter_age(self, counters: Counters, now: int) -> int:
        """Count the ages of open and due requests as censored. Return the requests unanswered, 0 or 1."""
        if self.schedule is not None:
            for youngest, interval, number in self.schedule.overdue(now):
                count_progression(counters.censored["response"], youngest, interval, number)
                counters.unsent += number
        if self.sent_at:
            kind, latest = (
                ("later", self._variant_stats.later_sent) if self.served else ("first", self._variant_stats.first_sent)
            )
            if latest > self.sent_at:
                _count_age(counters.overtaken[kind], self.sent_at, latest)
            if self.served_in == self._recorder.phase:
                _count_age(counters.silent[kind], self.sent_at, now)
            if self.served:
                _count_age(counters.censored["response"], self._due, now)
                _count_age(counters.censored["service"], self.sent_at, now)
            else:
                _count_age(counters.censored["first_reply"], self._due, now)
            return 1
        counters.unsent += self.is_kept_back
        if self._connecting_since:
            _count_age(counters.censored["connect"], self._connecting_since, now)
            _count_age(counters.censored["first_reply"], self._due, now)
        elif self.is_kept_back:
            _count_age(counters.censored["response" if self.served else "first_reply"], self._asked, now)
        return 0


def _count_age(histogram: Histogram, since: int, now: int) -> None:
    """Count the microseconds since then; 0 if it began after the event loop's last look."""
    count(histogram, max(0, now - since) // 1000)
