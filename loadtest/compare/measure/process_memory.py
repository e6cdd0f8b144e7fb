"""What a running server takes, read from outside: memory, threads, and how many clients it really holds."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from loadtest.compare.measure.groups import PROC


class Look(NamedTuple):
    """
    What was seen at one moment.

    memory: bytes of resident memory, with what was moved out to swap. threads. sockets: different ones that are open; a
    client in the accept queue has none yet.
    """

    memory: int
    threads: int
    sockets: int


class ProcessMemory:
    """
    What the process `pid` takes, together with those that it has started.

    Linux counts the pages of /proc/PID/smaps_rollup when it is read. What psutil reads (statm) may be off by some pages
    a core, "because of a kernel-internal scalability optimization" (proc_pid_statm(5)): it serves where there is
    nothing better. The proportional size (Pss) would change with every other process that ends and shared a library.

    Every method raises psutil.Error if the process has ended or may not be looked at.
    """

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self.pid = pid
        self.name = f"process {pid}"
        self._root = psutil.Process(pid)
        self._proc = proc

    def look(self) -> Look:
        """Read everything once."""
        memory = threads = 0
        sockets: set[object] = set()
        for process in self._processes():
            try:
                memory += self._memory(process)
                threads += process.num_threads()
                sockets.update(self._sockets(process))
            except psutil.NoSuchProcess:
                if process == self._root:
                    raise
        return Look(memory, threads, len(sockets))

    def room(self) -> int | None:
        """Return how many more descriptors the one that may open most of them can open; None where nobody tells."""
        free = []
        for process in self._processes():
            if not hasattr(process, "rlimit"):
                return None
            soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
            if soft == resource.RLIM_INFINITY:
                return None
            free.append(soft - process.num_fds())
        return max(free)

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]

    def _memory(self, process: psutil.Process) -> int:
        if process.status() == psutil.STATUS_ZOMBIE:  # it has ended, and can be read as if it took nothing
            raise psutil.ZombieProcess(process.pid)
        with suppress(OSError):
            lines = (self._proc / str(process.pid) / "smaps_rollup").read_text().splitlines()[1:]
            sizes = {name: int(size) for name, size, *_ in (line.split() for line in lines)}
            return 1024 * (sizes["Rss:"] + sizes["Swap:"])
        return int(process.memory_info().rss)

    def _sockets(self, process: psutil.Process) -> Iterator[object]:
        descriptors = self._proc / str(process.pid) / "fd"
        if not descriptors.exists():
            yield from ((each.laddr, each.raddr) for each in process.net_connections("tcp") if each.raddr)
            return
        try:
            for each in descriptors.iterdir():
                with suppress(FileNotFoundError):  # closed meanwhile
                    target = str(each.readlink())
                    if target.startswith("socket:"):
                        yield target
        except PermissionError as error:
            raise psutil.AccessDenied(process.pid) from error
        except OSError as error:
            raise psutil.NoSuchProcess(process.pid) from error
