"""Reads a running server's memory, threads and open sockets from outside."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from loadtest.compare.measure.cgroups import PROC


class Look(NamedTuple):
    """
    One reading.

    memory: resident bytes, and those in swap. sockets: different open ones; a client in the accept queue has none yet.
    """

    memory: int
    threads: int
    sockets: int


class ProcessMemory:
    """
    Memory, threads and sockets of the process `pid` and its children.

    Linux counts the pages of /proc/PID/smaps_rollup when it is read. psutil's source (statm), the fallback, may be off
    by some pages a core, "because of a kernel-internal scalability optimization" (proc_pid_statm(5)). A page that its
    processes share counts once. The whole proportional size (Pss) would change whenever another process that shares a
    library ends.

    Every method raises psutil.Error if the process has ended or may not be read.
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
        processes = self._processes()
        for process in processes:
            try:
                memory += self._memory(process, len(processes))
                threads += process.num_threads()
                sockets.update(self._sockets(process))
            except psutil.NoSuchProcess:
                if process == self._root:
                    raise
        return Look(memory, threads, len(sockets))

    def room(self) -> int | None:
        """Return the most descriptors that one of its processes may still open; None if unknown or unlimited."""
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

    def _memory(self, process: psutil.Process, processes: int) -> int:
        if process.status() == psutil.STATUS_ZOMBIE:  # it has ended, and would read as 0 bytes
            raise psutil.ZombieProcess(process.pid)
        with suppress(OSError, KeyError):  # Linux before 5.4 has no Pss_Anon
            return share_bytes(process.pid, processes, self._proc)
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


def share_bytes(pid: int, processes: int, proc: Path = PROC) -> int:
    """
    Return the bytes in RAM and swap of one of a server's processes; OSError where the system does not report them.

    Each page that its processes share counts once in their sum: anonymous ones by the kernel's account, those of files
    because all forked ones map the same. Of a single process it is the resident size, so both can be compared.
    """
    lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size) for name, size, *_ in (line.split() for line in lines)}
    if processes == 1:
        return 1024 * (sizes["Rss:"] + sizes["Swap:"])
    of_files = sizes["Rss:"] - sizes["Anonymous:"]
    return 1024 * (sizes["Pss_Anon:"] + sizes["SwapPss:"]) + 1024 * of_files // processes
