"""A container's memory and CPU throttling, from its control group; a process's own figures leave them out."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path("/sys/fs/cgroup")


class Throttled(NamedTuple):
    """Periods in which a CPU quota froze the group, and the seconds in all."""

    periods: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Container:
    """
    A control group with its own memory limit, as a container has.

    memory: returns bytes by part (anon, kernel, sock, file). throttled: returns None where the kernel reports nothing.
    """

    memory: Callable[[], dict[str, int]]
    throttled: Callable[[], Throttled | None]


def find(root: Path = ROOT) -> Container | None:
    """Return this process's control group; None on a bare machine."""
    if _number(root / "memory.max") is not None:
        return Container(lambda: _memory_v2(root), lambda: _throttled(root / "cpu.stat", "throttled_usec", 1e6))
    v1 = root / "memory"
    limit = _number(v1 / "memory.limit_in_bytes")
    if limit is not None and limit < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        return Container(lambda: _memory_v1(v1), lambda: _throttled(root / "cpu" / "cpu.stat", "throttled_time", 1e9))
    return None


def _memory_v2(group: Path) -> dict[str, int]:
    stat = _table(group / "memory.stat")
    # Linux has `kernel` since 5.18, before that only its parts.
    kernel = stat.get("kernel", sum(stat.get(part, 0) for part in ("kernel_stack", "pagetables", "slab", "percpu")))
    return {"anon": stat["anon"], "kernel": kernel, "sock": stat["sock"], "file": stat["file"]}


def _memory_v1(group: Path) -> dict[str, int]:
    stat = _table(group / "memory.stat")
    parts = {"anon": stat["total_rss"], "file": stat["total_cache"]}
    for part, name in (("kernel", "memory.kmem.usage_in_bytes"), ("sock", "memory.kmem.tcp.usage_in_bytes")):
        if (used := _number(group / name)) is not None:
            parts[part] = used
    return parts


def _throttled(path: Path, time: str, unit: float) -> Throttled | None:
    try:
        stat = _table(path)
        return Throttled(stat["nr_throttled"], stat[time] / unit)
    except (OSError, KeyError):
        return None


def _number(path: Path) -> int | None:
    """Return the number in the file; None if there is no file, or it says `max`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
