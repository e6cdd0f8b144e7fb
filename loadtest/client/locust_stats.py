"""Hands what the recorder counts to Locust's own statistics, in batches: a call for each request would cost 2 us."""

import time
from typing import Final

from locust.env import Environment
from locust.stats import StatsEntry

from loadtest.recording.histogram import Histogram, merge

METHOD: Final = "TCP"
"""What Locust calls a request's method or type."""


def names(user: str) -> tuple[str, str]:
    """Return the names of a user's first replies and of its later ones in Locust's statistics."""
    return f"{user} first reply", f"{user} reply"


class Feed:
    """The verified replies of one kind of user on their way to Locust's statistics."""

    def __init__(self, environment: Environment, user: str) -> None:
        """Feed `environment`'s statistics with what the users called `user` do."""
        self._environment = environment
        self._names = names(user)
        self._pending: tuple[Histogram, Histogram] = ({}, {})

    def take(self, first: bool, histogram: Histogram) -> None:
        """Take microseconds of first replies, or of later ones (recorder.VariantStats.told)."""
        merge(self._pending[not first], histogram)

    def flush(self, length: int) -> None:
        """Hand on what was taken; each reply was `length` bytes long."""
        stats = self._environment.stats
        for name, histogram in zip(self._names, self._pending, strict=True):
            if histogram:
                entry = _entry(name, histogram, length)
                histogram.clear()
                # The public way to add many at once, and the one by which the master adds up its workers.
                stats.get(name, METHOD).extend(entry)
                stats.total.extend(entry)


def _entry(name: str, histogram: Histogram, length: int) -> StatsEntry:
    """Return Locust's kind of histogram: in milliseconds, which may be fractions of one (see master.install)."""
    entry = StatsEntry(None, name, METHOD)  # type: ignore[arg-type]  # the statistics it isn't part of
    number = sum(histogram.values())
    now = time.time()
    entry.num_requests = number
    entry.total_response_time = sum(key * times for key, times in histogram.items()) / 1000  # type: ignore[assignment]
    entry.min_response_time = min(histogram) / 1000  # type: ignore[assignment]
    entry.max_response_time = max(histogram) / 1000  # type: ignore[assignment]
    entry.response_times = {key / 1000: times for key, times in histogram.items()}  # type: ignore[misc]
    entry.num_reqs_per_sec = {int(now): number}
    entry.last_request_timestamp = now
    entry.total_content_length = number * length
    return entry
