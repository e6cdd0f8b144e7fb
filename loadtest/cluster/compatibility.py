"""
Decides which workers may join a master, and measures how far their clocks are off; without Locust.

Locust accepts a worker of any version, which may play another script or count in another way; its counts would be added
to the others'. The lab's master refuses a worker of another version before it gets work, so that it disturbs no run.

A version is a digest of the sources (nobody can forget to raise it), the same in a checkout and in an image.

Only Locust's own statistics need the workers' wall clocks: they file requests under the second of the worker's clock.
The lab measures durations by each process's steady clock, and the arrival of reports by the master's.
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
"""The message that refuses a worker; it holds the master's version."""

STAMP: Final = "tcplab_stamp"
"""The key in a worker's report for its version and its clock (unix seconds)."""

REMEMBERED: Final = 60
"""Reports, one a second, of which the fastest shows how far a clock is off."""

logger = logging.getLogger(__name__)


def sources(root: Path = ROOT) -> list[Path]:
    """Return the sources of a load process: loadtest without the comparison, and the modules it uses of servers."""
    load, servers = root / "loadtest", root / "servers"
    ours = (path for path in load.rglob("*.py") if "compare" not in path.relative_to(load).parts)
    return sorted([*ours, servers / "variants.py", servers / "wire.py"])


def digest(paths: Iterable[Path], root: Path = ROOT) -> str:
    """Return twelve hexadecimal digits of the files' names and texts; line ends don't matter."""
    found = hashlib.sha256()
    for path in paths:
        text = path.read_text(encoding="utf-8")  # any line end becomes \n
        found.update(f"{path.relative_to(root).as_posix()}\0{text}\0".encode())
    return found.hexdigest()[:12]


VERSION: Final = f"{metadata.version('locust')}+tcplab.{digest(sources())}"
"""Locust's version and the digest."""


def stamp() -> list[Any]:
    """Return the value under STAMP in a worker's report."""
    return [VERSION, time.time()]


class Clocks:
    """How far the workers' wall clocks are behind the master's, from their reports."""

    def __init__(self) -> None:
        self._behind: dict[str, deque[float]] = {}

    def behind(self, worker: str, sent: float, received: float) -> int:
        """
        Return how many whole seconds a worker's clock is behind the master's.

        sent, received: unix seconds by the worker's clock and by the master's. The difference includes the report's
        travel time, which is never negative, so the smallest of the last ones is the closest.
        """
        known = self._behind.setdefault(worker, deque(maxlen=REMEMBERED))
        known.append(received - sent)
        return round(min(known))


class Gate:
    """Accepts messages from workers of the master's version only."""

    def __init__(
        self,
        move_times: Callable[[dict[str, Any], int], object],
        version: str = VERSION,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Accept workers of `version`. move_times: shifts a report's times by seconds. clock: unix seconds."""
        self._move_times = move_times
        self._version = version
        self._clock = clock
        self._clocks = Clocks()
        self._logged: set[tuple[str, str]] = set()

    def admits(self, worker: str, kind: str, data: Any) -> bool:  # noqa: ANN401 (Locust's own messages)
        """
        Return whether to accept a worker's message; if not, send it REFUSED.

        The times in an accepted report are converted to the master's clock.
        """
        version, sent = self._version, None
        if kind == "client_ready":
            version = str(data)
        elif kind == "stats" or (isinstance(data, dict) and STAMP in data):
            # The previous master may have accepted its sender.
            version, sent = data.get(STAMP, ("unknown", None))
        if version != self._version:
            host = worker.rpartition("_")[0]  # Locust's ids are host_digits
            if (host, version) not in self._logged:  # Docker restarts a container again and again
                self._logged.add((host, version))
                logger.warning(
                    "Refused a worker on %s: it has version %s, this master %s; bring both to the same commit",
                    *(host, version, self._version),
                )
            return False
        if kind == "stats" and sent is not None:
            self._move_times(data, self._clocks.behind(worker, sent, self._clock()))
        return True
