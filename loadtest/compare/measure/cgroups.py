"""
A memory control group for one server, to count the kernel's memory for it, which is in no process's own memory.

That is kernel stacks of threads, page tables, sockets, and their buffers. Creating a group needs root, or a delegated
group; without that the reason is reported.

The system's own counters don't replace it. In five runs of each server with 1,000 silent clients, beside other work,
KernelStack and PageTables (/proc/meminfo) grew by 0.64 to 0.66 of the group's kernel part for threads (31.4 kB), and by
0.00 to 0.45 for asyncio and protocol (3.9 kB); with Slab by 1.07 to 1.12, and 1.7 to 2.3, for it has both ends of each
connection; with half of Slab by 0.86 to 0.89, and 0.86 to 1.4. sockstat's TCP memory didn't grow, nor did the group's.
The group's part was the same within 0.4 %.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

PARTS: Final = ("anon", "kernel", "sock")
"""The parts of a group's memory that belong to its server; `file` is page cache, of the first reader of a file."""

_EMPTY_WITHIN: Final = 2.0  # seconds until a killed process must have left its group
_RETRY: Final = 0.01

_numbers = count(1)


class NoGroupError(Exception):
    """No control group is available; the text says why."""


@dataclass(frozen=True, slots=True)
class Group:
    """A memory control group of ours. charged: returns bytes by part, for those of `PARTS` that the kernel counts."""

    folder: Path
    charged: Callable[[], dict[str, int]]

    @property
    def procs(self) -> Path:
        """The file of its processes; a process joins by writing 0 to it."""
        return self.folder / "cgroup.procs"

    def holds(self, pids: Iterable[int]) -> bool:
        """Return whether all these processes are in it."""
        return set(pids) <= set(self._pids())

    def remove(self) -> None:
        """Kill its processes, and remove it; if that fails, the next comparison's `make` tries again."""
        deadline = time.monotonic() + _EMPTY_WITHIN
        while self.folder.exists() and time.monotonic() < deadline:
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(OSError):  # a killed process takes a moment to leave
                self.folder.rmdir()
                return
            time.sleep(_RETRY)

    def _pids(self) -> list[int]:
        try:
            found = [int(line) for line in self.procs.read_text().split()]
        except OSError:
            return []
        return [pid for pid in found if pid]  # 0 stands for a process in another namespace


@contextmanager
def group(proc: Path = PROC) -> Iterator[Group | NoGroupError]:
    """Create a group for a context, or yield the reason why there is none."""
    try:
        made = make(proc)
    except NoGroupError as error:
        yield error
        return
    try:
        yield made
    finally:
        made.remove()


def make(proc: Path = PROC) -> Group:
    """Create a group for one server, and remove those of dead comparisons; NoGroupError if none is available."""
    try:
        belongs = (proc / "self" / "cgroup").read_text().splitlines()
        mounts = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        raise NoGroupError("this system has no control groups") from None
    ours = {name: path for _, names, path in (line.split(":", 2) for line in belongs) for name in names.split(",")}
    if "memory" in ours:
        parent = _mounted(mounts, "cgroup", "memory", ours["memory"])
        folder = _child([parent], proc)
        with suppress(OSError):  # version 1 counts sockets and their buffers only after a limit is written
            (folder / "memory.kmem.tcp.limit_in_bytes").write_text("-1")
        return Group(folder, lambda: _charged_v1(folder))
    if "" not in ours:
        raise NoGroupError("this system has no control groups for memory")
    parent = _mounted(mounts, "cgroup2", "", ours[""])
    # A group with processes passes no controller on to its children, so ours must be its sibling, or one of a parent's.
    above = [folder for folder in (parent, *parent.parents) if "memory" in _words(folder / "cgroup.subtree_control")]
    if not above:
        raise NoGroupError(
            f"no group from {parent} upwards passes the memory controller on (cgroup.subtree_control): run as root, or"
            " in a delegated group, as in: systemd-run --user --scope make compare"
        )
    folder = _child(above, proc)
    return Group(folder, lambda: _charged_v2(folder))


def _mounted(mounts: Sequence[str], kind: str, controller: str, path: str) -> Path:
    """Return the folder of the group `path`: of the controller's hierarchy, or of version 2 (whose name is "")."""
    for line in mounts:
        # man 5 proc_pid_mountinfo: ID, parent, device, root, mount point, options, optional fields, -, type, source,
        # options of the file system
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        found, _, options = after.split(maxsplit=2)
        if found == kind and (not controller or controller in options.split(",")):
            within = os.path.relpath(path, root)
            # Outside of the mount, as in a container with its host's names: it is the container's own.
            return Path(point) if within.startswith("..") else Path(point) / within
    raise NoGroupError("the control groups are not mounted here")


def _child(parents: Iterable[Path], proc: Path) -> Path:
    """Create a group in the first of `parents` that permits it."""
    why = ""
    for parent in parents:
        _sweep(parent, proc)
        folder = parent / f"tcplab-{os.getpid()}-{next(_numbers)}"
        try:
            folder.mkdir()
        except OSError as error:
            why = why or f"none can be made in {parent} ({error.strerror}): run as root, outside a container"
        else:
            return folder
    raise NoGroupError(why)


def _sweep(parent: Path, proc: Path) -> None:
    """Remove the groups that killed comparisons left."""
    for folder in parent.glob("tcplab-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not (proc / owner).exists():
            with suppress(OSError):
                folder.rmdir()


def _charged_v1(folder: Path) -> dict[str, int]:
    stat = _table(folder / "memory.stat")
    parts = {"anon": stat["total_rss"] + stat.get("total_swap", 0)}
    for part, name in (("kernel", "memory.kmem.usage_in_bytes"), ("sock", "memory.kmem.tcp.usage_in_bytes")):
        with suppress(OSError):  # the kernel was built, or started, without that counter
            parts[part] = int((folder / name).read_text())
    return parts


def _charged_v2(folder: Path) -> dict[str, int]:
    stat = _table(folder / "memory.stat")
    swapped = _words(folder / "memory.swap.current") or ["0"]
    # Linux has `kernel` since 5.18, and its parts before.
    kernel = stat.get("kernel", sum(stat.get(part, 0) for part in ("kernel_stack", "pagetables", "slab", "percpu")))
    return {"anon": stat["anon"] + int(swapped[0]), "kernel": kernel, "sock": stat["sock"]}


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
