"""
What happened to every request, answered or not, in integer microseconds.

A load process keeps one `Recorder`. It hands out a `Tracker` for each client; the player, or a TcpClient, tells it
what happens, with the time in nanoseconds of one steady clock. Once a second `Recorder.report()` gives away what has
been counted since the last report, as plain dicts and lists (they travel in msgpack), and aggregator.py adds it up.

Four series, each a histogram {microseconds: count}:
- connect: from the start of connect() to the open connection.
- first_reply: from the start of connect() (or from when the request was due, if a schedule says so) to the first reply
  of the connection. Never pooled with those after it.
- response: later replies, from when the request was due.
- service: later replies, from when the request was sent. A closed client is due when it wants to send, so that in
  the closed model response and service are alike; they part when requests fall due on a schedule.

A request (or connect) that times out is in its histograms at the time it had waited. One whose client is stopped,
or that is still open when the window ends, is kept apart as censored, at its age: all that is known is that it takes
longer than that. So is one that fell due on a schedule and could not be sent: its client still waited for a reply.

Conservation: sent + carried = sum(outcomes) + abandoned + unanswered. `carried` are the requests that were open when
the phase began; they are counted where they end. What was never sent (`unsent`) stands beside that, not in it.

A hundred thousand requests a second leave some 7 us for each: durations are put into lists, and turned into histograms
by the thousand.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from loadtest.client.pacing import Schedule
from loadtest.recording.counters import PENDING, Effort, Gauges, Tally
from loadtest.recording.histogram import Histogram, count, count_progression, merge

OUTSIDE: Final = 0
"""The phase of whatever happens outside of a run's phases: it counts in the totals and in no result."""

LAG_INTERVAL: Final = 20_000_000
"""Nanoseconds between two looks of a load process at how late its own loop is."""

JUST_NOW: Final = 1_000_000_000
"""Nanoseconds for which a client that had been served before may wait for a reply and doesn't count as left waiting."""

SETTLE: Final = 1000
"""Durations noted before they are turned into a histogram: 0.1 ms of work at a time."""

LATE: Final = 5_000_000
"""Nanoseconds after its time from which a send is late: the delay is then the generator's own."""


class Book:
    """
    One variant's tally, and its clients.

    even: microseconds of later replies to requests that left when they were due. responses, services: of the others,
    the two times of each. first: of first replies. All of them are of verified replies, and wait for `settle`.
    first_sent, later_sent: when the latest of the requests was sent that had their replies, first ones and later ones.
    told: who is told of them too: called with whether they are first replies, and with the histogram.
    """

    __slots__ = ("even", "first", "first_sent", "later_sent", "responses", "services", "tally", "told", "trackers")

    def __init__(self) -> None:
        self.tally = Tally()
        self.trackers: set[Tracker] = set()
        self.even: list[int] = []
        self.responses: list[int] = []
        self.services: list[int] = []
        self.first: list[int] = []
        self.first_sent = 0
        self.later_sent = 0
        self.told: Callable[[bool, Histogram], None] | None = None

    def settle(self) -> None:
        """Turn the durations noted until now into histograms."""
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
                    merge(self.tally.histograms[name], histogram)
                if self.told is not None and series != ("service",):
                    self.told(series == ("first_reply",), histogram)

    def gauges(self, phase: int, now: int) -> Gauges:
        """Count the clients, as they stand in this phase; `now`: nanoseconds."""
        connected = served = unserved = unanswered = unsent = pending = 0
        for tracker in self.trackers:
            if tracker.connected:
                connected += 1
                served += tracker.served
                unserved += tracker.served_in != phase and not tracker.is_content(phase, now)
            unanswered += tracker.sent_at > 0
            pending += tracker.is_pending(now)
            if tracker.schedule is not None:
                unsent += tracker.is_kept_back + sum(each.number for each in tracker.schedule.overdue(now))
        return Gauges(len(self.trackers), connected, served, unserved, pending, unanswered, unsent)


class Tracker:
    """
    Follows one client. Times are nanoseconds of one steady clock.

    connected: it has a connection. served: it has had a verified reply on it. served_in: the last phase in which it
    has had any. replies: how many it has had in that phase, over all its connections. sent_at: when its open request
    was sent, 0 without one. schedule: when its requests fall due, if that isn't when it wants to send them. retuned:
    called when that has changed: who sleeps until then sleeps amiss.
    """

    __slots__ = (
        "_asked",
        "_book",
        "_connected_in",
        "_connecting_since",
        "_due",
        "_recorder",
        "_squared",
        "connected",
        "replies",
        "retuned",
        "schedule",
        "sent_at",
        "served",
        "served_in",
    )

    def __init__(self, recorder: "Recorder", book: Book) -> None:
        self._recorder = recorder
        self._book = book
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
        self._book.trackers.add(self)

    def is_content(self, phase: int, now: int) -> bool:
        """Whether it was served, though not in this phase, for it has asked for nothing since, or only just now."""
        return self.served and self.served_in != phase and now - (self.sent_at or now) < JUST_NOW

    def is_pending(self, now: int) -> bool:
        """Whether it has been connecting for longer than PENDING."""
        return self._connecting_since > 0 and now - self._connecting_since > PENDING * 1000

    @property
    def is_kept_back(self) -> bool:
        """Whether its request is due and on its way: it is connecting, or dawdling."""
        return self._asked > 0

    def due(self, when: int) -> None:
        """Note that its next request was due then, by a schedule: whatever it has to do before it can send it."""
        self._asked = when

    def put_off(self, nanoseconds: int) -> None:
        """Note that the client itself holds its request back for so long: it and all later ones are due then."""
        if self._asked:
            self._asked += nanoseconds
            if self.schedule is not None:
                self.schedule.put_off(nanoseconds, self._recorder.clock())

    def connecting(self, now: int) -> None:
        """Note that it begins to connect; its first request is due from here, unless a schedule said when."""
        self._book.trackers.add(self)  # should a user of one's own have forgotten to say that it has started
        self._connecting_since = now
        self._due = self._asked or now

    def connected_at(self, now: int) -> None:
        """Note that the connection is open."""
        tally = self._book.tally
        tally.connections["connected"] += 1
        count(tally.histograms["connect"], (now - self._connecting_since) // 1000)
        self._connecting_since = 0
        self.connected = True
        self.served = False
        self.count_connected()

    def count_connected(self) -> None:
        """Count it among the clients connected in this phase, once."""
        if self._connected_in != self._recorder.phase:
            self._connected_in = self._recorder.phase
            self._book.tally.clients_connected += 1

    def connect_failed(self, outcome: str, now: int) -> int:
        """Note that it could not connect: one of CONNECTIONS. Return how long it had tried, in nanoseconds."""
        tally = self._book.tally
        waited = now - self._connecting_since
        tally.connections[outcome] += 1
        if outcome == "timeout":
            count(tally.histograms["connect"], waited // 1000)
            count(tally.histograms["first_reply"], (now - self._due) // 1000)
        self._give_up_due(tally)
        self._connecting_since = 0
        return waited

    def _give_up_due(self, tally: Tally) -> None:
        """Count it if a request is due and will not be sent."""
        if self._asked:
            tally.unsent += 1
            self._asked = 0

    def sent(self, now: int, *, late: bool = False) -> None:
        """
        Note that a request goes out: just before its first byte does (of a request in pieces: the last piece's).

        It was due now, or when the schedule said; a connection's first one from the start of connect() at the latest.
        late: it leaves more than LATE after its time, by the generator's own fault.
        """
        tally = self._book.tally
        tally.sent += 1
        if late:
            tally.late_sends += 1
        self.sent_at = now
        if self.served:
            self._due = min(self._asked, now) if self._asked else now
        self._asked = 0

    def verified(self, now: int) -> int:
        """Note that the right reply is there, to its last byte. Return the response time in nanoseconds."""
        book = self._book
        book.tally.outcomes["verified"] += 1
        response = now - self._due
        sent_at = self.sent_at
        if not self.served:
            self.served = True
            durations = book.first
            book.first_sent = max(book.first_sent, sent_at)
        else:
            if sent_at > book.later_sent:  # noqa: PLR1730 - max() would cost each reply 60 ns more
                book.later_sent = sent_at
            if self._due == sent_at:
                durations = book.even
            else:
                durations = book.responses
                book.services.append((now - sent_at) // 1000)
        durations.append(response // 1000)
        if len(durations) >= SETTLE:
            book.settle()
        self.sent_at = 0
        if self.served_in != self._recorder.phase:
            self.served_in = self._recorder.phase
            self.replies = self._squared = 0
            book.tally.clients_served += 1
        self.replies += 1
        return response

    def failed(self, outcome: str, now: int) -> int:
        """Note that the request has failed: one of OUTCOMES. Return how long it had waited, in nanoseconds."""
        tally = self._book.tally
        tally.outcomes[outcome] += 1
        response = now - self._due
        if outcome == "timeout":
            if self.served:
                count(tally.histograms["response"], response // 1000)
                count(tally.histograms["service"], (now - self.sent_at) // 1000)
            else:
                count(tally.histograms["first_reply"], response // 1000)
        self.sent_at = 0
        return response

    def broke(self, how: str) -> None:
        """Note that the connection broke while no request was open on it: one of BREAKS."""
        self._book.tally.breaks[how] += 1

    def left(self) -> None:
        """Note that the connection is closed."""
        tally, phase = self._book.tally, self._recorder.phase
        self._give_up_due(tally)
        if self.connected and self.is_content(phase, self._recorder.clock()):
            tally.clients_served += 1
            self.served_in = phase
            self.replies = self._squared = 0
        self.connected = self.served = False

    def stopped(self, now: int) -> None:
        """Note that the client itself is stopped, whatever it was doing."""
        tally = self._book.tally
        tally.abandoned += self.enter_age(tally, now)
        self._asked = 0  # it is in there
        self.left()
        self.square()
        self.sent_at = self._connecting_since = 0
        self.schedule = self.retuned = None
        self._book.trackers.discard(self)

    def square(self) -> None:
        """Bring the tally's squares up to its replies: once a second, for at each reply it would cost too much."""
        self._book.tally.squares += self.replies**2 - self._squared**2
        self._squared = self.replies

    def enter_age(self, tally: Tally, now: int) -> int:
        """Enter the age of what is still open, or due, as censored. Return the requests unanswered, 0 or 1."""
        if self.schedule is not None:
            for youngest, interval, number in self.schedule.overdue(now):
                count_progression(tally.censored["response"], youngest, interval, number)
                tally.unsent += number
        if self.sent_at:
            kind, latest = ("later", self._book.later_sent) if self.served else ("first", self._book.first_sent)
            if latest > self.sent_at:
                _count_age(tally.overtaken[kind], self.sent_at, latest)
            if self.served_in == self._recorder.phase:
                _count_age(tally.silent[kind], self.sent_at, now)
            if self.served:
                _count_age(tally.censored["response"], self._due, now)
                _count_age(tally.censored["service"], self.sent_at, now)
            else:
                _count_age(tally.censored["first_reply"], self._due, now)
            return 1
        tally.unsent += self.is_kept_back
        if self._connecting_since:
            _count_age(tally.censored["connect"], self._connecting_since, now)
            _count_age(tally.censored["first_reply"], self._due, now)
        elif self.is_kept_back:
            _count_age(tally.censored["response" if self.served else "first_reply"], self._asked, now)
        return 0


def _count_age(histogram: Histogram, since: int, now: int) -> None:
    """Count how long it has been; none at all of what began after the engine had last looked."""
    count(histogram, max(0, now - since) // 1000)


class Recorder:
    """
    Everything one load process counts.

    phase: the number of the phase that now runs; counts belong to the phase in which they are made. clock: nanoseconds.
    waited: returns for how many nanoseconds the process's engine has waited for something to do; None without one.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        processor: Callable[[], float] = time.process_time,
        starved: Callable[[], float] = lambda: 0.0,
        stolen: Callable[[], float] = lambda: 0.0,
        conntrack: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """
        Take a steady clock in nanoseconds, and three in seconds.

        processor: of the processor time used. starved: of the time waited for a core. stolen: of what the machine's
        host has kept back, over all cores. conntrack: returns the share of the connection-tracking table in use.
        """
        self.clock = clock
        self._processor = processor
        self._starved = starved
        self._stolen = stolen
        self._conntrack = conntrack
        self._books: dict[str, Book] = {}
        self._lag: Histogram = {}
        self._from: tuple[int, float, float, float, int | None] = (clock(), processor(), starved(), stolen(), None)
        self._counts_from = clock()
        self._ended: list[dict[str, Any]] = []
        self.phase = OUTSIDE
        self.waited: Callable[[], int] | None = None

    def book(self, variant: str) -> Book:
        """Return the book of `variant`."""
        return self._books.setdefault(variant, Book())

    def client(self, variant: str) -> Tracker:
        """Return the tracker of a new client of `variant`."""
        return Tracker(self, self.book(variant))

    def retune(self, interval: int) -> None:
        """Let the requests of every client that has a schedule fall due at another interval (nanoseconds)."""
        now = self.clock()
        for book in self._books.values():
            for tracker in book.trackers:
                if tracker.schedule is not None:
                    tracker.schedule.retune(interval, now)
                    if tracker.retuned is not None:
                        tracker.retuned()

    def renew(self) -> None:
        """Count this process's own effort from here: in a forked one, nothing of its parent's is its own."""
        self._from = self.clock(), self._processor(), self._starved(), self._stolen(), None
        self._counts_from = self.clock()
        self._lag = {}

    def lagged(self, microseconds: int) -> None:
        """
        Note by how much the process's own loop was late.

        A long lag counts as all the looks that there would have been meanwhile, or it would hide itself by being long.
        """
        interval = LAG_INTERVAL // 1000
        times, rest = divmod(max(0, microseconds), interval)
        count_progression(self._lag, rest * 1000, LAG_INTERVAL, times + 1)

    def begin(self, phase: int) -> None:
        """Begin a phase. Requests now open are carried into it; nothing happens if it runs already."""
        if phase == self.phase:
            return
        self._end(closed=False)
        self.phase = phase
        for book in self._books.values():
            for tracker in book.trackers:
                book.tally.carried += tracker.sent_at > 0
                if tracker.connected:
                    tracker.count_connected()

    def close(self, now: int | None = None) -> None:
        """
        End the phase: what is open now is unanswered. Nothing happens outside of phases.

        now: when the engine last looked (nanoseconds). What fell due while it was kept from looking, by the end of the
        run itself, tells nothing.
        """
        if self.phase == OUTSIDE:
            return
        now = now or self.clock()
        for book in self._books.values():
            for tracker in book.trackers:
                book.tally.unanswered += tracker.enter_age(book.tally, now)
                book.tally.clients_served += tracker.connected and tracker.is_content(self.phase, now)
        self._end(closed=True, now=now)
        self.phase = OUTSIDE

    def report(self) -> dict[str, Any]:
        """
        Give away what was counted since the last report.

        {"parts": [{"phase", "seconds", "closed", "tallies": {variant: ...}, "effort": [...], "gauges": {...}}]}; a part
        for each phase there was in the meantime, in order. The last part's gauges are those of now.
        """
        self._end(closed=False)
        parts, self._ended = self._ended, []
        return {"parts": parts}

    def _end(self, *, closed: bool, now: int | None = None) -> None:
        """Put the counts aside for the next report, and begin to count anew."""
        for book in self._books.values():
            book.settle()
            for tracker in book.trackers:
                tracker.square()
        now = now or self.clock()
        since, self._counts_from = self._counts_from, now
        self._ended.append(
            {
                "phase": self.phase,
                "seconds": (now - since) / 1e9,
                "closed": closed,
                "tallies": {name: book.tally.to_wire() for name, book in self._books.items()},
                "gauges": {name: list(book.gauges(self.phase, now)) for name, book in self._books.items()},
                "effort": self._effort(),
            }
        )
        for book in self._books.values():
            book.tally = Tally()

    def _effort(self) -> list[Any]:
        """Return the Effort since it was last asked for, as a list of its fields."""
        now = self.clock()
        then, processor, starved, stolen, waited = self._from
        now_waited = self.waited() if self.waited else None
        self._from = now, self._processor(), self._starved(), self._stolen(), now_waited
        seconds = (now - then) / 1e9
        # Before it ran, the engine was not busy.
        busy = 0.0 if waited is None or now_waited is None else max(0.0, seconds - (now_waited - waited) / 1e9)
        lag, self._lag = self._lag, {}
        _, processor_now, starved_now, stolen_now, _ = self._from
        return [
            processor_now - processor,
            seconds,
            busy,
            max(0.0, starved_now - starved),
            max(0.0, stolen_now - stolen),
            lag,
            self._conntrack(),
        ]


class Part(NamedTuple):
    """One part of a report, unpacked: see Recorder.report."""

    phase: int
    seconds: float
    closed: bool
    tallies: dict[str, Tally]
    gauges: dict[str, Gauges]
    effort: Effort


def unpack(report: Mapping[str, Any]) -> Iterable[Part]:
    """Yield the parts of a report."""
    for part in report["parts"]:
        yield Part(
            phase=part["phase"],
            seconds=part["seconds"],
            closed=part["closed"],
            tallies={name: Tally.from_wire(tally) for name, tally in part["tallies"].items()},
            gauges={name: Gauges(*gauges) for name, gauges in part["gauges"].items()},
            effort=Effort(*part["effort"]),
        )
