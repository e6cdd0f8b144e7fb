"""
Which workers may join a master, and how their reports are taken; without Locust, whose handlers ask here.

Locust lets in a worker of any version, which may play another script or count in another way; its figures would be
added up with the others'. A worker of another version is refused before it is given anything to do, so that a run that
is on is not disturbed by it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from loadtest.cluster.clocks import Clocks, correct
from loadtest.cluster.version import VERSION

REFUSED: Final = "tcplab_refused"
"""The name of the message that refuses a worker; it holds the master's version."""

STAMP: Final = "tcplab_stamp"
"""The key of a worker's report for its version, and the unix seconds by its own clock."""

JOINED: Final = "Joined the master at "
"""What a worker logs once it is let in."""

logger = logging.getLogger(__name__)


def stamp() -> list[Any]:
    """Return what a worker's report says of itself under STAMP."""
    return [VERSION, time.time()]


class Gate:
    """Tells messages of workers that may join from others'."""

    def __init__(self, version: str = VERSION, clock: Callable[[], float] = time.time) -> None:
        """Let in workers of `version`. clock: unix seconds."""
        self._version = version
        self._clock = clock
        self._clocks = Clocks()
        self._told: set[tuple[str, str]] = set()

    def admits(self, worker: str, kind: str, data: Any) -> bool:  # noqa: ANN401 (Locust's own messages)
        """
        Whether a worker's message is to be taken; if it isn't, the worker is to be sent REFUSED.

        The times in a report that is taken are by our clock from here on.
        """
        version, sent = self._version, None
        if kind == "client_ready":
            version = str(data)
        elif kind == "stats" or (isinstance(data, dict) and STAMP in data):
            # Its sender may have been let in by another master, of which this one has taken the place.
            version, sent = data.get(STAMP, ("unknown", None))
        if version != self._version:
            self._tell(worker, version)
            return False
        if kind == "stats" and sent is not None:
            correct(data, self._clocks.behind(worker, sent, self._clock()))
        return True

    def _tell(self, worker: str, version: str) -> None:
        """Say it once for each host and version: a container is started again and again."""
        host = worker.rpartition("_")[0]  # Locust's ids are host_digits
        if (host, version) not in self._told:
            self._told.add((host, version))
            logger.warning(
                "Refused a worker on %s: it is of version %s, this master of %s; bring both to the same commit",
                *(host, version, self._version),
            )
