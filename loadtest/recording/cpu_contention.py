"""What keeps this process from its core, as the kernel tells: its machine's host, and other processes."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_SCHEDULING: Final = Path("/proc/self/schedstat")
_last = {"stolen": 0.0, "starved": 0.0}  # without a descriptor left nothing can be read: then nothing has changed


def stolen() -> float:
    """Return the processor seconds that this machine's host has kept back, over all cores; 0.0 where none is told."""
    with suppress(OSError):
        _last["stolen"] = float(getattr(psutil.cpu_times(), "steal", 0.0))
    return _last["stolen"]


def starved() -> float:
    """
    Return the seconds in which this process's main thread was ready and waited for a core; 0.0 where none is told.

    The kernel's run_delay (Documentation/scheduler/sched-stats.rst). A process that sleeps much shows little of it in
    its processor time, or in how late its timers are: it takes more work at each turn.
    """
    with suppress(OSError):
        _last["starved"] = int(_SCHEDULING.read_text().split()[1]) / 1e9
    return _last["starved"]
