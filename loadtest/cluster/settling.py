"""Waits until a load's figures have settled (recording/steady_state.py)."""

import time
from collections.abc import Callable, Mapping

import gevent

from loadtest.recording.histogram import Histogram
from loadtest.recording.steady_state import SLICES, Series, Settled

Look = Callable[[], tuple[float, Mapping[str, Histogram]]]
"""Returns seconds of a steady clock, and all response times of the phase up to then, by variant."""


def wait(at_most: float, shortest: float, look: Look, is_complete: Callable[[], bool]) -> Settled:
    """
    Wait until the figures have settled, at most so many seconds.

    shortest: seconds of a slice, at least. is_complete: whether all clients are there; slices before that don't count.
    """
    began = time.monotonic()
    series = Series()
    while (left := began + at_most - time.monotonic()) > 0:
        gevent.sleep(min(left, max(shortest, at_most / SLICES)))
        if not is_complete():
            series.restart()
            continue
        series.add(*look())
        if series.has_settled:
            return Settled(time.monotonic() - began)
    return Settled(changing=series.changing)
