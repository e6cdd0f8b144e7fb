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
from typing import Final, NamedTuple

ARRIVALS: Final = ("poisson", "periodic")
"""How requests fall due: at random, as from many clients that don't know of each other, or each client's evenly."""

SPREAD_FROM: Final = 1_000
"""Requests that a client owes from which on their ages are spread evenly: to draw millions would take seconds."""


class Stretch(NamedTuple):
    """Requests that are due: the youngest's age, how far apart they are (nanoseconds), and how many."""

    youngest: int
    interval: int
    number: int


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

    def restart(self, interval: int, now: int) -> None:
        """Forget what is due and not taken; clients that were spread evenly stay so."""
        now = max(now, self._pause)
        self._kept.clear()
        self._next = now + 1 + (self._next - now) % self._interval * interval // self._interval
        self._interval = interval

    def put_off(self, nanoseconds: int, now: int) -> None:
        """
        Let everything fall due so much later, for the client itself pauses so long from now on.

        What was due by now counts as due when the pause ends, at the age that it has now: a pause is no latency.
        """
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
        self._random = Random()
        self._begin(seed)
        if seed is None:
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self, seed: int | None = None) -> None:
        self._random.seed(seed)
        self.draw: Callable[[], float] = chain.from_iterable(self._batches()).__next__

    def _batches(self) -> Iterator[list[float]]:
        """Yield gaps by the hundred: one at a time would cost twice as much."""
        random = self._random.random
        while True:
            yield [-log(1.0 - random()) for _ in range(100)]


class Poisson:
    """
    A schedule with exponential gaps: those of many clients together are a Poisson process, however many there are.

    A due time is drawn when the one before it is taken. Of a client that is behind only the next one is known, then:
    the number that it owes is the one to be expected, and their ages are drawn when they are asked for. What a change
    of the rate cuts short is drawn anew from there, for such a process has no memory.

    upcoming: when the next request is due.
    """

    __slots__ = ("_changes", "_gap", "_interval", "_pause", "upcoming")

    def __init__(self, since: int, interval: int, gap: Callable[[], float]) -> None:
        """Let requests fall due from `since` on, `interval` nanoseconds apart on average; gap: Gaps.draw."""
        self.upcoming = since + int(gap() * interval)
        self._interval = interval
        self._gap = gap
        self._changes = deque[tuple[int, int]]()  # of the interval, after `upcoming`: when, and to what
        self._pause = 0  # when the client's own pause ends, if it has made one

    def take(self) -> int:
        """Return when the next request is due, and go on to the one after it."""
        due = self.upcoming
        self.upcoming = due + int(self._gap() * self._interval)
        while self._changes and self.upcoming > self._changes[0][0]:
            when, self._interval = self._changes.popleft()
            self.upcoming = when + int(self._gap() * self._interval)
        return due

    def retune(self, interval: int, now: int) -> None:
        """
        Let requests fall due at another mean interval; what is due stays due.

        What is left of a gap passes on the new scale: it is exponential, too. While the client pauses, it is what is
        left at the pause's end.
        """
        now = max(now, self._pause)
        if self.upcoming <= now:
            self._changes.append((now, interval))
        else:
            self.upcoming = now + max(1, (self.upcoming - now) * interval // self._interval)
            self._interval = interval

    def restart(self, interval: int, now: int) -> None:
        """Forget what is due and not taken, and draw from now on."""
        self._changes.clear()
        self._interval = interval
        self.upcoming = max(now, self._pause) + int(self._gap() * interval)

    def put_off(self, nanoseconds: int, now: int) -> None:
        """Let everything fall due so much later: see Periodic."""
        self._pause = max(now, self._pause) + nanoseconds
        self.upcoming += nanoseconds
        self._changes = deque((when + nanoseconds, interval) for when, interval in self._changes)

    def owed(self, now: int) -> int:
        """Return how many requests are due and not taken: as many as are to be expected."""
        if self.upcoming > now:
            return 0
        return 1 + sum(round((end - begin) / interval) for begin, end, interval in self._since_upcoming(now))

    def overdue(self, now: int) -> list[Stretch]:
        """Return the requests that are due and not taken."""
        if self.upcoming > now:
            return []
        found = [Stretch(now - self.upcoming, self._interval, 1)]
        for begin, end, interval in self._since_upcoming(now):
            number = (end - begin) // interval
            if number >= SPREAD_FROM:
                found.append(Stretch(now - begin - number * interval, interval, number))
                continue
            due = begin + int(self._gap() * interval)
            while due <= end:
                found.append(Stretch(now - due, interval, 1))
                due += int(self._gap() * interval)
        return found

    def _since_upcoming(self, now: int) -> Iterator[tuple[int, int, int]]:
        """Yield the times in which requests have fallen due after the next one: begin, end, and the interval."""
        begin, interval = self.upcoming, self._interval
        for when, following in (*self._changes, (now, 0)):
            end = min(when, now)
            if end > begin:
                yield begin, end, interval
            begin, interval = when, following


Schedule = Periodic | Poisson
"""When one client's requests fall due, whether or not the last one has been answered."""
