"""When requests fall due in the open model."""


class Schedule:
    """
    When one client's requests fall due: at a steady interval, whether or not the last one has been answered.

    Times are nanoseconds of one steady clock. A client that was held up finds its due times in the past and catches up,
    one request after another: none is dropped, and each counts from when it was due (the open model: Schroeder,
    Wierman, Harchol-Balter, "Open Versus Closed: A Cautionary Tale", NSDI 2006; wrk2 sends likewise).

    upcoming: when the next one is due.
    """

    __slots__ = ("_interval", "upcoming")

    def __init__(self, first: int, interval: int) -> None:
        """Let the first request be due at `first`, and each after it `interval` nanoseconds later."""
        self.upcoming = first
        self._interval = interval

    def take(self) -> int:
        """Return when the next request is due, and go on to the one after it."""
        due = self.upcoming
        self.upcoming += self._interval
        return due

    def retune(self, interval: int) -> None:
        """Let requests fall due at another interval, once those due by the old one are taken."""
        self._interval = interval

    def overdue(self, now: int) -> tuple[int, int, int]:
        """Return the requests that are due and not taken: the youngest's age, how far apart they are, and how many."""
        number = max(0, (now - self.upcoming) // self._interval + 1)
        return now - self.upcoming - (number - 1) * self._interval, self._interval, number
