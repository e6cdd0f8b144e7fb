"""
Which workers may join a master, and how their clocks are compared; without Locust, whose handlers ask here.

Locust lets in a worker of any version, which may play another script or count in another way; its figures would be
added up with the others'. A worker of another version is refused before it is given anything to do, so that a run that
is on is not disturbed by it.

A version is a digest of the sources: a number that somebody has to raise would be forgotten. It is the same in a
checkout and in an image.

Clocks matter for Locust's own statistics alone, which file requests under the second of the worker's wall clock. The
lab's figures need no clock but each process's steady one, by which durations are measured, and the master's, by which
reports arrive.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

REFUSED: Final = "tcplab_refused"
"""The name of the message that refuses a worker; it holds the master's version."""

STAMP: Final = "tcplab_stamp"
"""The key of a worker's report for its version, and the unix seconds by its own clock."""

REMEMBERED: Final = 60
"""Reports, one a second, of which the quickest tells how far a clock is off."""

logger = logging.getLogger(__name__)


def sources(root: Path = ROOT) -> list[Path]:
    """Return what makes a load process: all of loadtest but the comparison, and what it takes from the servers."""
    load, servers = root / "loadtest", root / "servers"
    ours = (path for path in load.rglob("*.py") if "compare" not in path.relative_to(load).parts)
    return sorted([*ours, servers / "variants.py", servers / "wire.py"])


def digest(paths: Iterable[Path], root: Path = ROOT) -> str:
    """Return twelve hexadecimal digits that change with any file's name or text, but not with its line ends."""
    found = hashlib.sha256()
    for path in paths:
        text = path.read_text(encoding="utf-8")  # any line end becomes \n
        found.update(f"{path.relative_to(root).as_posix()}\0{text}\0".encode())
    return found.hexdigest()[:12]


VERSION: Final = f"{metadata.version('locust')}+tcplab.{digest(sources())}"
"""Locust's version and the digest: what a worker says of itself to the master."""


def stamp() -> list[Any]:
    """Return what a worker's report says of itself under STAMP."""
    return [VERSION, time.time()]


class Clocks:
    """How far the workers' wall clocks are behind the master's, told by their reports."""

    def __init__(self) -> None:
        self._behind: dict[str, deque[float]] = {}

    def behind(self, worker: str, sent: float, received: float) -> int:
        """
        Return how many whole seconds a worker's clock is behind ours.

        sent, received: unix seconds by the worker's clock and by ours. The difference holds the time that the report
        took, which is never negative, so the least of the last ones is the nearest; a delayed report moves nothing.
        """
        known = self._behind.setdefault(worker, deque(maxlen=REMEMBERED))
        known.append(received - sent)
        return round(min(known))


class Gate:
    """Tells messages of workers that may join from others'."""

    def __init__(
        self,
        move_times: Callable[[dict[str, Any], int], object],
        version: str = VERSION,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Let in workers of `version`. move_times: moves a report's times by so many seconds. clock: unix seconds."""
        self._move_times = move_times
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
            self._move_times(data, self._clocks.behind(worker, sent, self._clock()))
        return True

    def _tell(self, worker: str, version: str) -> None:
        """Log it once for each host and version: a container is started again and again."""
        host = worker.rpartition("_")[0]  # Locust's ids are host_digits
        if (host, version) not in self._told:
            self._told.add((host, version))
            logger.warning(
                "Refused a worker on %s: it is of version %s, this master of %s; bring both to the same commit",
                *(host, version, self._version),
            )
