"""Hands what the recorder counts to Locust's own statistics, in batches: a call for each request would cost 2 us."""

from typing import Final

from locust.env import Environment

from loadtest import locust_internals
from loadtest.recording.histogram import Histogram, merge

METHOD: Final = "TCP"
"""What Locust calls a request's method or type."""


def names(user: str) -> tuple[str, str]:
    """Return the names of a user's first replies and of its later ones in Locust's statistics."""
    return f"{user} first reply", f"{user} reply"


class Batches:
    """The verified replies of one kind of user that Locust's statistics don't have yet."""

    def __init__(self, environment: Environment, user: str) -> None:
        """Add to `environment`'s statistics what the users called `user` do."""
        self._environment = environment
        self._names = names(user)
        self._pending: tuple[Histogram, Histogram] = ({}, {})

    def take(self, first: bool, histogram: Histogram) -> None:
        """Take microseconds of first replies, or of later ones (client_stats.VariantStats.told)."""
        merge(self._pending[not first], histogram)

    def flush(self, length: int) -> None:
        """Add what was taken to the statistics; each reply was `length` bytes long."""
        for name, histogram in zip(self._names, self._pending, strict=True):
            if histogram:
                locust_internals.add_to_statistics(self._environment, name, METHOD, histogram, length)
                histogram.clear()
