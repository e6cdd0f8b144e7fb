"""A sweep: one run at several rates, one after another, of which each has a measured window of its own."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import gevent

SECONDS: Final = 30.0
"""Of each rate in a run without a run time; the last rate goes on until the run is stopped."""

SETTLING: Final = 0.2
"""The part of a rate's time that is thrown away at most, while the queues of the rate before empty and its own fill."""


class Sweep:
    """The rates of a run, which begin at once, in a greenlet of their own."""

    def __init__(
        self,
        rates: Sequence[float],
        seconds: float,
        begin_rate: Callable[[float], object],
        begin_window: Callable[[], object],
        end_window: Callable[[], object],
        *,
        settle: Callable[[float], object],
    ) -> None:
        """
        seconds: for all rates; 0 or less: as long as SECONDS says.

        settle: waits until the figures have settled, at most so many seconds.
        begin_window: begins a phase; its figures are thrown away unless end_window is called before another begins.
        The last window is left open, for the run's end to end it.
        """
        self._each = seconds / len(rates) if seconds > 0 else SECONDS
        self._rates = rates
        self._begin_rate = begin_rate
        self._begin_window = begin_window
        self._end_window = end_window
        self._settle = settle
        self._settles = True
        self._greenlet = gevent.spawn(self._play)

    def _play(self) -> None:
        for number, rate in enumerate(self._rates):
            if number:
                self._end_window()
            self._settles = True
            ends = time.monotonic() + self._each
            self._begin_rate(rate)
            self._begin_window()
            self._settle(self._each * SETTLING)
            self._begin_window()
            self._settles = False
            if rate is not self._rates[-1]:
                gevent.sleep(max(0.0, ends - time.monotonic()))

    def end(self) -> bool:
        """End it with the run. Return whether the last phase was one that is thrown away."""
        self._greenlet.kill(block=False)
        return self._settles
