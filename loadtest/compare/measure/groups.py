"""
A memory control group for one server: what the kernel holds for it, which is in no process's own memory.

That is thread stacks in the kernel, page tables, sockets, and what is in their buffers. A group needs the right to make
one: root, or a group that was delegated. Where it is not to be had, the reason is told and nothing is guessed.
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
"""What a group is charged with and belongs to its server; `file` is the page cache of whoever touched a file first."""

_EMPTY_WITHIN: Final = 2.0  # seconds that a killed process may take to leave its group
_RETRY: Final = 0.01

_numbers = count(1)


class NoGroupError(Exception):
    """No control group is to be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Group:
    """
    A memory control group of our own.

    folder: where the kernel shows it. charged: returns bytes by part, as many of `PARTS` as the kernel tells.
    """

    folder: Path
    charged: Callable[[], dict[str, int]]

    @property
    def procs(self) -> Path:
        """The file that lists its processes; whoever writes 0 to it joins them."""
        return self.folder / "cgroup.procs"

    def holds(self, pids: Iterable[int]) -> bool:
        """Return whether all these processes are in it."""
        return set(pids) <= set(self._pids())

    def remove(self) -> None:
        """End what is left in it, and remove it; should it not go, the next comparison's `make` tries again."""
        deadline = time.monotonic() + _EMPTY_WITHIN
        while self.folder.exists() and time.monotonic() < deadline:
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(OSError):  # a process that was killed takes a moment to leave
                self.folder.rmdir()
                return
            time.sleep(_RETRY)

    def _pids(self) -> list[int]:
        try:
            found = [int(line) for line in self.procs.read_text().split()]
        except OSError:
            return []
        return [pid for pid in found if pid]  # 0 stands for a process that cannot be seen from here


@contextmanager
def group(proc: Path = PROC) -> Iterator[Group | NoGroupError]:
    """Make a group for the time of a context, or say why there is none."""
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
    """
    Make a group for one server, and remove those that comparisons which are no more have left.

    proc: where the kernel tells about processes. Raises NoGroupError if none is to be had.
    """
    try:
        belongs = (proc / "self" / "cgroup").read_text().splitlines()
        mounts = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        raise NoGroupError("this system has no control groups") from None
    ours = {name: path for _, names, path in (line.split(":", 2) for line in belongs) for name in names.split(",")}
    if "memory" in ours:
        parent = _mounted(mounts, "cgroup", "memory", ours["memory"])
        folder = _child([parent], proc)
        with suppress(OSError):  # until a limit is written, version 1 counts neither sockets nor their buffers
            (folder / "memory.kmem.tcp.limit_in_bytes").write_text("-1")
        return Group(folder, lambda: _charged_v1(folder))
    if "" not in ours:
        raise NoGroupError("this system has no control groups for memory")
    parent = _mounted(mounts, "cgroup2", "", ours[""])
    # A group that has processes passes nothing on to its children, so that ours has to be a sibling, or a sibling of
    # one further up.
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
            # Outside what is mounted here, as in a container that has its host's names: it is the container's own.
            return Path(point) if within.startswith("..") else Path(point) / within
    raise NoGroupError("the control groups are not mounted here")


def _child(parents: Iterable[Path], proc: Path) -> Path:
    """Make a group in the first of `parents` that lets us."""
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
    """Remove the groups of comparisons that ended without doing so, as by kill -9."""
    for folder in parent.glob("tcplab-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not (proc / owner).exists():
            with suppress(OSError):
                folder.rmdir()


def _charged_v1(folder: Path) -> dict[str, int]:
    stat = _table(folder / "memory.stat")
    parts = {"anon": stat["total_rss"] + stat.get("total_swap", 0)}
    for part, name in (("kernel", "memory.kmem.usage_in_bytes"), ("sock", "memory.kmem.tcp.usage_in_bytes")):
        with suppress(OSError):  # the kernel was built, or started, without that account
            parts[part] = int((folder / name).read_text())
    return parts


def _charged_v2(folder: Path) -> dict[str, int]:
    stat = _table(folder / "memory.stat")
    swapped = _words(folder / "memory.swap.current") or ["0"]
    # `kernel` is there since Linux 5.18; before that its parts are.
    kernel = stat.get("kernel", sum(stat.get(part, 0) for part in ("kernel_stack", "pagetables", "slab", "percpu")))
    return {"anon": stat["anon"] + int(swapped[0]), "kernel": kernel, "sock": stat["sock"]}


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
