"""Adds the recorder's counts to Locust's statistics in batches: a call for each request would cost 2 us."""

from typing import Final

from locust.env import Environment

from loadtest import locust_internals
from loadtest.recording.histogram import Histogram, merge

METHOD: Final = "TCP"
"""A request's method (or type) in Locust's statistics."""


def names(user: str) -> tuple[str, str]:
    """Return the names in Locust's statistics of a user's first replies and of its later ones."""
    return f"{user} first reply", f"{user} reply"


class Batches:
    """The verified replies of one kind of user that are not yet in Locust's statistics."""

    def __init__(self, environment: Environment, user: str) -> None:
        """Add to `environment`'s statistics, under the name `user`."""
        self._environment = environment
        self._names = names(user)
        self._pending: tuple[Histogram, Histogram] = ({}, {})

    def take(self, first: bool, histogram: Histogram) -> None:
        """Add a histogram in microseconds of first replies, or of later ones."""
        merge(self._pending[not first], histogram)

    def flush(self, length: int) -> None:
        """Move the batch into the statistics; each reply was `length` bytes long."""
        for name, histogram in zip(self._names, self._pending, strict=True):
            if histogram:
                locust_internals.add_to_statistics(self._environment, name, METHOD, histogram, length)
                histogram.clear()
