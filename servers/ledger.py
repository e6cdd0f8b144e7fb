"""The books of one server: the tallies of those who serve, and how connections ended."""

import threading
from collections import Counter
from typing import Final

from servers.tally import Tally

OUTCOMES: Final[tuple[str, ...]] = (
    "quit",
    "closed",
    "reset",
    "idle",
    "dripping",
    "unread",
    "overlong",
    "shutdown",
    "failed",
    "refused",
)
"""How a connection can end."""

ERRORS: Final[tuple[str, ...]] = (
    "unknown",
    "argument",
    "overlong",
    "unfinished",
    "idle",
    "dripping",
    "unread",
    "full",
    "threads",
    "descriptors",
    "internal",
)
"""Every kind of error; each is exported from the start, at zero."""


class Ledger:
    """
    Adds up what all tallies have counted, without a lock where requests are served.

    The main thread has one tally for all its clients. Any other thread gets one of its own for the client that it
    serves; it is folded into the total when the client leaves, so that no counter ever goes down.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._main = Tally()
        self._live: set[Tally] = {self._main}
        self._past = Tally()
        self._ended: Counter[str] = Counter()

    def enter(self) -> Tally:
        """Return the tally that counts for a new client of this thread."""
        if threading.current_thread() is threading.main_thread():
            return self._main
        tally = Tally()
        with self._lock:
            self._live.add(tally)
        return tally

    def leave(self, tally: Tally, outcome: str) -> None:
        """Note that a client of this tally has left, and how."""
        with self._lock:
            self._ended[outcome] += 1
            if tally is not self._main:
                self._live.remove(tally)
                self._past.add(tally)

    def refused(self, kind: str) -> None:
        """Note an error of the listener's; a client that was refused counts as a connection that ended so."""
        with self._lock:
            self._past.failed(kind)
            if kind != "descriptors":
                self._ended["refused"] += 1

    def total(self) -> tuple[Tally, dict[str, int]]:
        """Return everything counted so far, and the number of connections ended by outcome."""
        total = Tally()
        with self._lock:
            for tally in (self._past, *self._live):
                total.add(tally)
            return total, dict(self._ended)
