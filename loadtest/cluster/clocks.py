"""
Workers' clocks, for Locust's own statistics: it files requests under the second of the worker's wall clock.

Where a worker's clock is an hour off, Locust's page and summary would divide by that hour. The lab's own figures need
no clock but each process's steady one, by which durations are measured, and the master's, by which reports arrive.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

REMEMBERED: Final = 60
"""Reports, one a second, of which the quickest tells how far a clock is off."""


class Clocks:
    """How far the workers' wall clocks are behind the master's, told by their reports."""

    def __init__(self) -> None:
        self._behind: dict[str, deque[float]] = {}

    def behind(self, worker: str, sent: float, received: float) -> int:
        """
        Return how many whole seconds a worker's clock is behind ours.

        sent, received: unix seconds by the worker's clock and by ours. The difference holds the way here, which is
        never negative, so the least of the last ones is the nearest; a report that was held up moves nothing.
        """
        known = self._behind.setdefault(worker, deque(maxlen=REMEMBERED))
        known.append(received - sent)
        return round(min(known))


def correct(report: dict[str, Any], seconds: int) -> None:
    """Move the times in a worker's report to Locust's statistics (locust.stats.StatsEntry, StatsError) by so much."""
    if not seconds:
        return
    for entry in (*report["stats"], report["stats_total"]):
        for key in ("start_time", "last_request_timestamp"):
            if entry[key] is not None:
                entry[key] += seconds
        for key in ("num_reqs_per_sec", "num_fail_per_sec"):
            entry[key] = _moved(entry[key], seconds)
    for error in report["errors"].values():
        for key in ("first_seen", "last_seen"):
            if error.get(key) is not None:
                error[key] += seconds


def _moved(counts: Mapping[int, int], seconds: int) -> dict[int, int]:
    return {second + seconds: number for second, number in counts.items()}
