"""The time that this process did not get its core, because of the machine's host or of other processes."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_SCHEDULING: Final = Path("/proc/self/schedstat")
_last = {"stolen": 0.0, "starved": 0.0}  # returned while no descriptor is free to read with


def stolen() -> float:
    """Return the processor seconds that this machine's host has kept back, over all cores; 0.0 if unknown."""
    with suppress(OSError):
        _last["stolen"] = float(getattr(psutil.cpu_times(), "steal", 0.0))
    return _last["stolen"]


def starved() -> float:
    """
    Return the seconds in which this process's main thread was ready and waited for a core; 0.0 if unknown.

    The kernel's run_delay (Documentation/scheduler/sched-stats.rst). In a process that often sleeps, processor time and
    late timers hardly show it: it does more work at each turn.
    """
    with suppress(OSError):
        _last["starved"] = int(_SCHEDULING.read_text().split()[1]) / 1e9
    return _last["starved"]
