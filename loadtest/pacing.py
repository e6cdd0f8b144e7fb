"""
When requests fall due in the open model.

Times are nanoseconds of one steady clock. A client that was held up finds its due times in the past and catches up, one
request after another: none is dropped, and each counts from when it was due (the open model: Schroeder, Wierman,
Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006; wrk2 sends likewise).
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from math import log
from random import Random
from typing import Final, NamedTuple, Protocol

ARRIVALS: Final = ("poisson", "periodic")
"""How requests fall due: at random, as from many clients that don't know of each other, or each client's evenly."""

MANY: Final = 1_000
"""Requests that a client owes from which on their ages are spread evenly: to draw millions would take seconds."""


class Stretch(NamedTuple):
    """Requests that are due: the youngest's age, how far apart they are (nanoseconds), and how many."""

    youngest: int
    interval: int
    number: int


class Schedule(Protocol):
    """When one client's requests fall due, whether or not the last one has been answered."""

    @property
    def upcoming(self) -> int:
        """When the next request is due."""

    def take(self) -> int:
        """Return when the next request is due, and go on to the one after it."""

    def retune(self, interval: int, now: int) -> None:
        """Let requests fall due at another (mean) interval; what is due stays due."""

    def put_off(self, nanoseconds: int, now: int) -> None:
        """
        Let everything fall due so much later, for the client itself pauses so long from now on.

        What was due by now counts as due when the pause ends, at the age that it has now: a pause is no latency.
        """

    def owed(self, now: int) -> int:
        """Return how many requests are due and not taken."""

    def overdue(self, now: int) -> list[Stretch]:
        """Return the requests that are due and not taken."""


class Periodic:
    """A schedule with a steady interval."""

    __slots__ = ("_interval", "_kept", "_next", "_pause")

    def __init__(self, first: int, interval: int) -> None:
        """Let the first request be due at `first`, and each after it `interval` nanoseconds later."""
        self._next = first
        self._interval = interval
        self._kept = deque[range]()  # due times from before the interval changed
        self._pause = 0  # when the client's own pause ends, if it has made one

    @property
    def upcoming(self) -> int:
        """When the next request is due."""
        return self._kept[0][0] if self._kept else self._next

    def take(self) -> int:
        """Return when the next request is due, and go on to the one after it."""
        if self._kept:
            kept = self._kept.popleft()
            if len(kept) > 1:
                self._kept.appendleft(kept[1:])
            return kept[0]
        due = self._next
        self._next += self._interval
        return due

    def retune(self, interval: int, now: int) -> None:
        """
        Let requests fall due at another interval; what is due stays due.

        Of the present interval passes what is left, on the new scale: clients that were spread evenly stay so. While
        the client pauses, it is what is left at the pause's end, or some of it would fall due in the pause.
        """
        now = max(now, self._pause)
        due = range(self._next, now + 1, self._interval)
        if due:
            self._kept.append(due)
            self._next = due[-1] + self._interval
        self._next = now + max(1, (self._next - now) * interval // self._interval)
        self._interval = interval

    def put_off(self, nanoseconds: int, now: int) -> None:
        """Let everything fall due so much later: see Schedule."""
        self._pause = max(now, self._pause) + nanoseconds
        self._next += nanoseconds
        self._kept = deque(range(due.start + nanoseconds, due.stop + nanoseconds, due.step) for due in self._kept)

    def owed(self, now: int) -> int:
        """Return how many requests are due and not taken."""
        return sum(each.number for each in self.overdue(now))

    def overdue(self, now: int) -> list[Stretch]:
        """Return the requests that are due and not taken, the oldest last."""
        present = range(self._next, now + 1, self._interval)
        every = (present, *(range(each.start, min(each.stop, now + 1), each.step) for each in reversed(self._kept)))
        return [Stretch(now - due[-1], due.step, len(due)) for due in every if due]


class Gaps:
    """Draws the gaps between the requests of a Poisson process, in mean intervals: exponential, with a mean of 1."""

    def __init__(self, seed: int | None = None) -> None:
        """Draw from this seed; without one a forked process draws anew, or its requests would fall due as ours."""
        self._random = Random(seed)
        self._begin()
        if seed is None:
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._random.seed()
        self._begin()

    def _begin(self) -> None:
        self.draw: Callable[[], float] = chain.from_iterable(self._batches()).__next__

    def _batches(self) -> Iterator[list[float]]:
        """Yield gaps by the hundred: one at a time would cost twice as much."""
        random = self._random.random
        while True:
            yield [-log(1.0 - random()) for _ in range(100)]


class _Past:
    """The rest of a Poisson process whose rate has changed: `upcoming` is due and not taken; nothing is after `end`."""

    __slots__ = ("end", "interval", "upcoming")

    def __init__(self, upcoming: int, end: int, interval: int) -> None:
        self.upcoming = upcoming
        self.end = end
        self.interval = interval


class Poisson:
    """
    A schedule with exponential gaps: those of many clients together are a Poisson process, however many there are.

    A due time is drawn when the one before it is taken. Of a client that is behind only the next one is known, then;
    the number that it owes is the one to be expected, and their ages are drawn when they are asked for.
    """

    __slots__ = ("_gap", "_interval", "_kept", "_next", "_pause")

    def __init__(self, since: int, interval: int, gap: Callable[[], float]) -> None:
        """Let requests fall due from `since` on, `interval` nanoseconds apart on average; gap: Gaps.draw."""
        self._next = since + int(gap() * interval)
        self._interval = interval
        self._gap = gap
        self._kept = deque[_Past]()
        self._pause = 0  # when the client's own pause ends, if it has made one

    @property
    def upcoming(self) -> int:
        """When the next request is due."""
        return self._kept[0].upcoming if self._kept else self._next

    def take(self) -> int:
        """Return when the next request is due, and go on to the one after it."""
        if self._kept:
            past = self._kept[0]
            due = past.upcoming
            past.upcoming += int(self._gap() * past.interval)
            if past.upcoming > past.end:
                self._kept.popleft()
            return due
        due = self._next
        self._next = due + int(self._gap() * self._interval)
        return due

    def retune(self, interval: int, now: int) -> None:
        """
        Let requests fall due at another mean interval; what is due stays due.

        What is left of a gap passes on the new scale: it is exponential, too. While the client pauses, it is what is
        left at the pause's end.
        """
        now = max(now, self._pause)
        if self._next <= now:
            self._kept.append(_Past(self._next, now, self._interval))
            self._next = now + int(self._gap() * interval)
        else:
            self._next = now + (self._next - now) * interval // self._interval
        self._next = max(self._next, now + 1)
        self._interval = interval

    def put_off(self, nanoseconds: int, now: int) -> None:
        """Let everything fall due so much later: see Schedule."""
        self._pause = max(now, self._pause) + nanoseconds
        self._next += nanoseconds
        for past in self._kept:
            past.upcoming += nanoseconds
            past.end += nanoseconds

    def owed(self, now: int) -> int:
        """Return how many requests are due and not taken: as many as are to be expected."""
        return sum(1 + (end - due) // interval for due, end, interval in self._processes(now))

    def overdue(self, now: int) -> list[Stretch]:
        """Return the requests that are due and not taken."""
        return [stretch for process in self._processes(now) for stretch in self._drawn(*process, now)]

    def _processes(self, now: int) -> Iterator[tuple[int, int, int]]:
        """Yield the next due time, the end and the interval of each process that has requests due, the oldest first."""
        for past in self._kept:
            if past.upcoming <= now:
                yield past.upcoming, min(past.end, now), past.interval
        if self._next <= now:
            yield self._next, now, self._interval

    def _drawn(self, due: int, end: int, interval: int, now: int) -> Iterator[Stretch]:
        """Yield the requests due until `end`."""
        number = 1 + (end - due) // interval
        if number >= MANY:
            yield Stretch(now - due - interval * (number - 1), interval, number)
            return
        while due <= end:
            yield Stretch(now - due, interval, 1)
            due += int(self._gap() * interval)
