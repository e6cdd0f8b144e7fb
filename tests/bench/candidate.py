"""A server of the benchmark, pinned to one core: one of the lab's, its baseline, or the null server."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import sched_setaffinity
from pathlib import Path
from resource import getpagesize

import psutil

from tests.support.processes import announced


@dataclass(frozen=True)
class Candidate:
    """A running server: its process, its port on loopback, its ready line, and the processes that it has forked."""

    pid: int
    port: int
    said: str = ""
    workers: tuple[int, ...] = ()

    def cpu_seconds(self) -> float:
        """CPU time used by all threads of its processes, to the nanosecond: clock_getcpuclockid(3) by hand."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in (self.pid, *self.workers))

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * getpagesize()


@contextmanager
def candidate(variant: str, *options: str, baseline: bool, core: int) -> Iterator[Candidate]:
    """Start the lab's server called `variant`, or its bare baseline, on one core; end it afterwards."""
    ours = ["servers", variant, "--port", "0", "--metrics-port", "0", *options]
    with running(["tests.bench.baselines", variant] if baseline else ours, core) as server:
        yield server


@contextmanager
def running(module: list[str], core: int) -> Iterator[Candidate]:
    """Start a server, a module with its arguments, on one core; end it afterwards."""
    with announced(*module) as (process, said):
        workers = tuple(each.pid for each in psutil.Process(process.pid).children())
        for pid in (process.pid, *workers):
            sched_setaffinity(pid, {core})
        ready = re.search(r"(\d+)(,|$)", said)
        assert ready is not None, f"{module} did not become ready"
        yield Candidate(process.pid, int(ready[1]), said, workers)
