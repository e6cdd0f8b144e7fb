"""When requests fall due in the open model."""

from collections import deque
from typing import NamedTuple


class Stretch(NamedTuple):
    """Requests that are due: the youngest's age, how far apart they are (nanoseconds), and how many."""

    youngest: int
    interval: int
    number: int


class Schedule:
    """
    When one client's requests fall due: at a steady interval, whether or not the last one has been answered.

    Times are nanoseconds of one steady clock. A client that was held up finds its due times in the past and catches up,
    one request after another: none is dropped, and each counts from when it was due (the open model: Schroeder,
    Wierman, Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006; wrk2 sends likewise).
    """

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
        """
        Let everything fall due so much later, for the client itself pauses so long from now on.

        What was due by now counts as due when the pause ends, at the age that it has now: a pause is no latency.
        """
        self._pause = max(now, self._pause) + nanoseconds
        self._next += nanoseconds
        self._kept = deque(range(due.start + nanoseconds, due.stop + nanoseconds, due.step) for due in self._kept)

    def overdue(self, now: int) -> list[Stretch]:
        """Return the requests that are due and not taken, the oldest last."""
        present = range(self._next, now + 1, self._interval)
        every = (present, *(range(each.start, min(each.stop, now + 1), each.step) for each in reversed(self._kept)))
        return [Stretch(now - due[-1], due.step, len(due)) for due in every if due]
