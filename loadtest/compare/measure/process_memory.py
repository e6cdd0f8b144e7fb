"""Reads a running server's memory, threads and open sockets from outside."""

import resource
from collections.abc import Iterable, Iterator
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
        pids: list[int] = []
        sockets: set[object] = set()
        for process in self._processes():
            try:
                memory += self._memory(process)
                pids.append(process.pid)
                threads += process.num_threads()
                sockets.update(self._sockets(process))
            except psutil.NoSuchProcess:
                if process == self._root:
                    raise
        if len(pids) > 1:
            with suppress(OSError, KeyError):  # one has ended since, or Linux is too old
                memory = shared_bytes(pids, self._proc)
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

    def _memory(self, process: psutil.Process) -> int:
        if process.status() == psutil.STATUS_ZOMBIE:  # it has ended, and would read as 0 bytes
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


def shared_bytes(pids: Iterable[int], proc: Path = PROC) -> int:
    """
    Return the bytes in RAM and swap of a server's processes together; OSError or KeyError where Linux is too old.

    A page that several of them share counts once: anonymous ones by the kernel's account; of files at least as many as
    the process with the most maps. For a single process it is the resident size, so both can be compared.
    """
    anonymous = of_files = most_of_files = 0
    for pid in pids:
        lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
        sizes = {name: 1024 * int(size) for name, size, *_ in (line.split() for line in lines)}
        anonymous += sizes["Pss_Anon:"] + sizes["SwapPss:"]
        of_files += sizes["Pss:"] - sizes["Pss_Anon:"]
        most_of_files = max(most_of_files, sizes["Rss:"] - sizes["Anonymous:"])
    return anonymous + max(of_files, most_of_files)
