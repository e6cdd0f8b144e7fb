"""The pauses of Python's garbage collector."""

import gc
from bisect import bisect_left
from time import monotonic
from typing import Final

PAUSE_BOUNDS: Final[tuple[float, ...]] = (1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5)
"""Upper bounds of the buckets in seconds."""


class GarbagePauses:
    """Times every collection by `gc.callbacks`; costs nothing between collections."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(PAUSE_BOUNDS) + 1)
        self.seconds = 0.0
        self._began = 0.0

    def watch(self) -> None:
        """Start to count; call it once per process."""
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = monotonic()
            return
        self.count(monotonic() - self._began)

    def count(self, seconds: float) -> None:
        """Count a pause."""
        self.buckets[bisect_left(PAUSE_BOUNDS, seconds)] += 1
        self.seconds += seconds
