"""Descriptors put by: with them a server that has run out can still be asked what is wrong with it."""

import os
import threading
from contextlib import suppress
from typing import Final

WANTED: Final = 8
"""Descriptors put by: four scrapes at once, or as many as others take in the moment in which some are free."""

AT_ONCE: Final = 2
"""Descriptors for one scrape: its connection, and the file that it reads (one after another, from /proc)."""


class Spares:
    """Descriptors of /dev/null, which are closed where others are needed; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[int] = []
        self.put_by()

    def put_by(self) -> None:
        """Take as many as are missing, if there are any to be had."""
        with self._lock, suppress(OSError):
            while len(self._held) < WANTED:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def let_go(self) -> None:
        """Close those for one scrape, as far as there are any."""
        with self._lock:
            for spare in self._held[:AT_ONCE]:
                os.close(spare)
            del self._held[:AT_ONCE]

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            while self._held:
                os.close(self._held.pop())
