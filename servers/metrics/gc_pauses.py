"""The pauses of Python's garbage collector."""

import gc
import mmap
from bisect import bisect_left
from time import monotonic
from typing import Final, cast

PAUSE_BOUNDS: Final[tuple[float, ...]] = (1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5)
"""Upper bounds of the buckets in seconds."""

_SECONDS: Final = len(PAUSE_BOUNDS) + 1
_CELLS: Final = _SECONDS + 1


class GarbagePauses:
    """Times every collection by `gc.callbacks`; costs nothing between collections."""

    def __init__(self, workers: int = 0) -> None:
        """Have room for so many forked processes too, in memory that they share."""
        self._all: list[list[float]] = [[0.0] * _CELLS]
        for _ in range(workers):
            self._all.append(cast("list[float]", memoryview(mmap.mmap(-1, 8 * _CELLS)).cast("d")))
        self._own = self._all[0]
        self._began = 0.0

    def watch(self) -> None:
        """Start to count; call it once per process, or before it is forked."""
        gc.callbacks.append(self._collected)

    def forked(self, worker: int) -> None:
        """Count as this worker from now on; they are numbered from one."""
        self._own = self._all[worker]

    @property
    def buckets(self) -> list[int]:
        """The pauses of all processes, by duration."""
        return [int(sum(column)) for column in zip(*self._all, strict=True)][:_SECONDS]

    @property
    def seconds(self) -> float:
        """The sum of all pauses."""
        return sum(each[_SECONDS] for each in self._all)

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = monotonic()
            return
        self.count(monotonic() - self._began)

    def count(self, seconds: float) -> None:
        """Count a pause."""
        self._own[bisect_left(PAUSE_BOUNDS, seconds)] += 1
        self._own[_SECONDS] += seconds
