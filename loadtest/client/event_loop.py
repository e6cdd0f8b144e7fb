"""
The event loop: it drives the sockets of all of a process's users, so that the load reaches the servers' limits.

A user of Locust's own kind has a greenlet that waits for each reply; going there and back costs more than the kernel's
whole work. Here the users are parked, and one greenlet does the steps of their scripts (script.py): it asks the kernel
which sockets have something to read, takes it, compares it, notes it (client_stats.py) and sends the next request.
Every 2 ms it gives Locust's other greenlets their turn.

Sockets are watched edge-triggered (epoll(7)): told of news once, and so read until there is nothing left, or less came
than was asked for.
"""

import ctypes
import gc
import time
from collections.abc import Callable
from heapq import heappop, heappush
from select import EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Final, Protocol

import gevent
from gevent import monkey
from gevent.event import Event

from loadtest.client.recorded_user import RECORDER
from loadtest.recording.recorder import LAG_INTERVAL

BATCH: Final = 128
"""Sockets looked after between two looks at the time: about a millisecond of work."""

TURN: Final = 2_000_000
"""Nanoseconds after which Locust's other greenlets get their turn."""

NAP: Final = 1_000_000
"""Nanoseconds for which the whole process may sleep: waking this loop alone, by gevent, takes some 50 us longer."""

LINGER: Final = 5_000_000
"""Nanoseconds without news for which it goes on napping: a reply that finds the loop dozing is seen 0.1 ms late."""

DOZE: Final = 2_500_000
"""Nanoseconds before a timer at which gevent is to wake it up: after a nap of 1 ms, that takes up to 1 ms too long."""

EARLY: Final = 15_000
"""Nanoseconds before a timer at which a sleep ends, for it may last so much too long; from then on it looks at once."""

SPARSE: Final = 8
"""Clients' timers in a TURN, up to which a sleep ends FAR_EARLY before the next one: 4,000 a second."""

FAR_EARLY: Final = 100_000
"""Nanoseconds, likewise: the longer a processor has slept, the longer it takes to wake up and to do its first steps."""

FOR_EVER: Final = 1_000_000_000
"""Nanoseconds to wait when there is no timer; a new one ends it."""

_NEWS: Final = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
_clock: Final = time.perf_counter_ns
# gevent's own versions yield to other greenlets, or are missing.
_epoll: Final = monkey.get_original("select", "epoll")
_select: Final = monkey.get_original("select", "select")
_libc: Final = ctypes.CDLL(None)
_PR_SET_TIMERSLACK: Final = 29  # linux/prctl.h


def run_for_ever(function: Callable[[], object]) -> gevent.Greenlet:
    """
    Run `function`, which doesn't return, in a greenlet of its own.

    If it fails, so does the process: counts that nobody adds up any more must not look like servers that are silent.
    """
    greenlet = gevent.spawn(function)
    greenlet.link_exception(_end_process)
    return greenlet


def _end_process(failed: gevent.Greenlet) -> None:
    gevent.get_hub().handle_system_error(*failed.exc_info[:2])


def _prepare_process() -> None:
    """Have timers in time, and the garbage collector leave alone what was there before the load."""
    # Linux may let a sleep last 50 us longer, by which it saves power.
    _libc.prctl(_PR_SET_TIMERSLACK, 1)
    # To walk through Locust's modules takes it some 20 ms, in which nothing is sent.
    gc.freeze()


class Called(Protocol):
    """
    What has a timer.

    generation: of the timer that it waits for; one that fires with another is of the past.
    """

    generation: int

    def called(self, generation: int) -> None:
        """Do what was to be done at this time; `generation` tells for which of its timers it is called."""


class EventLoop:
    """The loop. It runs, in a greenlet of its own, from when the first client is added."""

    def __init__(self) -> None:
        self._ready: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[int, int, Called, int]] = []
        self._serial = 0
        self._loop: gevent.Greenlet | None = None
        self._wake = Event()
        self._looked_at = 0
        self._waited = 0
        self._waiting_since = 0
        self._taken = 0  # timers of clients in this TURN

    def add(self, client: Called) -> None:
        """Call a client for the first time, at once; start the loop if it doesn't run yet."""
        if self._loop is None:
            # Not before: Locust's --processes forks after the locustfile is loaded, and children would share it.
            self._epoll = _epoll()
            _prepare_process()
            self._readable = gevent.get_hub().loop.io(self._epoll.fileno(), 1)
            RECORDER.waited = self.waited
            self._probe = _Probe(self)
            self.call(self._probe, _clock(), 0)
            self._loop = run_for_ever(self._run)
        self.call(client, _clock(), client.generation)

    @property
    def looked_at(self) -> int:
        """When it last looked whether there is something to do, as a dozing one always does; 0 before it runs."""
        return _clock() if self._waiting_since else self._looked_at

    def waited(self) -> int:
        """Return the nanoseconds for which it has waited, all in all, for something to do."""
        return self._waited + (_clock() - self._waiting_since if self._waiting_since else 0)

    def watch(self, descriptor: int, ready: Callable[[int], None]) -> None:
        """Call `ready` with the news of a socket, until that is closed."""
        self._ready[descriptor] = ready
        self._epoll.register(descriptor, _NEWS)

    def forget(self, descriptor: int) -> None:
        """Let go of a socket that is about to be closed, by which the kernel forgets it too."""
        del self._ready[descriptor]

    def call(self, called: Called, when: int, generation: int) -> None:
        """Call `called` at a time (nanoseconds)."""
        self._serial = serial = self._serial + 1
        heappush(self._timers, (when, serial, called, generation))
        if self._waiting_since:
            self._wake.set()  # it may come before the one that the loop waits for

    def _run(self) -> None:
        """Look after sockets and timers, for ever."""
        ready, timers, poll, epoll = self._ready, self._timers, self._epoll.poll, (self._epoll,)
        events: list[tuple[int, int]] = []
        now = yielded = active = _clock()
        early = FAR_EARLY
        while True:
            if now - yielded > TURN:
                early = EARLY if self._taken > SPARSE else FAR_EARLY
                self._taken = 0
                gevent.idle()  # sleep(0) would keep timers and sockets waiting for up to 50 turns
                now = yielded = _clock()
            left = timers[0][0] - now if timers else FOR_EVER
            since = now
            if left < DOZE:
                if left > early and not events:  # where there was news there is likely more
                    # The kernel's epoll sleeps for whole milliseconds, its select for microseconds.
                    news, _, _ = _select(epoll, (), (), (left - early) / 1e9)
                    events = poll(0, BATCH) if news else []
                else:
                    events = poll(0, BATCH)
            else:
                events = poll(NAP / 1e9, BATCH)
                if not events and since - active > LINGER:
                    self._doze(since, left - DOZE)
                    events = poll(0, BATCH)
                    yielded = _clock()
            self._looked_at = now = _clock()
            self._waited += now - since
            if events:
                active = now
                for descriptor, news in events:
                    ready[descriptor](news)
                now = _clock()
            if timers and timers[0][0] <= now:
                if self._fire(now):
                    active = now
                now = _clock()

    def _fire(self, now: int) -> bool:
        """Do what is due by now, BATCH timers at most. Return whether one of them was a client's."""
        timers, probe = self._timers, self._probe
        before = self._taken
        for _ in range(BATCH):
            if not timers or timers[0][0] > now:
                break
            _, _, called, generation = heappop(timers)
            called.called(generation)
            if called is not probe:
                self._taken += 1
        return self._taken > before

    def _doze(self, since: int, nanoseconds: int) -> None:
        """Let other greenlets run until there is news, a new timer, or the time is over."""
        self._waiting_since = since
        self._wake.clear()
        self._readable.start(self._wake.set)
        self._wake.wait(nanoseconds / 1e9)
        self._readable.stop()
        self._waiting_since = 0


class _Probe:
    """Notes how late the event loop is, by a timer like those of clients."""

    def __init__(self, event_loop: EventLoop) -> None:
        self.generation = 0
        self._event_loop = event_loop
        self._due = _clock()

    def called(self, _generation: int) -> None:
        """Note it, and wait for the next time."""
        now = _clock()
        RECORDER.lagged((now - self._due) // 1000)
        self._due = now + LAG_INTERVAL
        self._event_loop.call(self, self._due, 0)


EVENT_LOOP: Final = EventLoop()
"""The one of this process."""
