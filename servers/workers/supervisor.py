"""The parent of a pre-fork server's workers: starts them, starts again each that dies, and ends after them."""

import mmap
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from servers.connections.listener import AcceptQueue, Listener, accept_queue
from servers.event_loop import NewLoop
from servers.session import Deadlines
from servers.shutdown import MOMENT
from servers.stats import Stats
from servers.workers import worker

LOOK: Final = 0.01
"""Seconds between two checks whether all workers are ready."""

PACE: Final = 1.0
"""Seconds between two starts of one worker, at least: one that dies at once must not take all of the CPU."""


class Worker:
    """One of the server's processes, or the place of one. number: from one on."""

    def __init__(self, number: int, listening: socket.socket, workers: "Workers") -> None:
        self.number = number
        self._listening = listening
        self._workers = workers

    def fork(self, accept: worker.Accept) -> None:
        """Start its process, which accepts clients by the model's coroutine, and ends after the last one."""
        if process := os.fork():
            self._workers.started(self, process)
            return
        worker.run(self.number, accept, self._listening, self._workers.common)
        sys.exit(0)


class Workers(Listener):
    """
    A server's workers. This process accepts no client itself: it exports what they count.

    sockets: the listening socket of each; the same one for all, or each its own. The parent keeps them open: clients
    in the accept queue of a worker that died are served by its successor.
    restarts: how often each has died and was started again. on_ready: called once all accept clients.
    """

    on_ready: Callable[[], None]

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        limit: int,
        deadlines: Deadlines,
        *,
        grace: float,
        new_loop: NewLoop,
        forked: Callable[[int], None],
    ) -> None:
        stats = Stats()
        stats.share(len(sockets), writers=1)
        super().__init__(sockets[0], limit, stats, deadlines)
        ready = mmap.mmap(-1, len(sockets))
        self.common = worker.Common(limit, stats, deadlines, grace, new_loop, forked, ready, *os.pipe())
        self.restarts = [0] * len(sockets)
        self._sockets = sockets
        self._absent = deque(Worker(number, each, self) for number, each in enumerate(sockets, 1))
        self._running: dict[int, tuple[Worker, float]] = {}  # by process; when (monotonic clock) it was started
        self._closed = threading.Event()

    def missing(self) -> Worker | None:
        """Wait for a worker without a process: each at first, then one that has died. None: all have ended in order."""
        while True:
            if self.stopping:
                self._absent.clear()
            if self._absent:
                return self._absent.popleft()
            if not self.workers:
                return None
            self._bury(self._wait_for_an_end())

    def started(self, its: Worker, process: int) -> None:
        """Take note of a worker's new process."""
        self._running[process] = its, time.monotonic()
        self.workers.append(process)
        if self.stopping:  # the signal came before it had started
            os.kill(process, signal.SIGTERM)

    def close(self) -> None:
        """Let the kernel refuse new clients. Call it from any thread."""
        self.stopping = True
        for each in self._sockets:
            with suppress(OSError):  # closed already
                each.shutdown(socket.SHUT_RDWR)
        self._closed.set()

    def queue(self) -> AcceptQueue | None:
        """Return the state of all accept queues together; None where the system does not report it."""
        queues = [queue for each in set(self._sockets) if (queue := accept_queue(each))]
        if not queues:
            return None
        return AcceptQueue(sum(queue.waiting for queue in queues), sum(queue.limit for queue in queues))

    def _wait_for_an_end(self) -> int:
        """Return the process of a worker that has ended; announce meanwhile that all are ready."""
        while self.on_first is not None:
            if ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return ended.si_pid
            if 0 not in self.common.ready[:]:
                self.on_first()
                self.on_first = None
                self.on_ready()
            time.sleep(LOOK)
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert ended is not None  # noqa: S101 - for the type checker: only WNOHANG returns None
        return ended.si_pid

    def _bury(self, process: int) -> None:
        """Account for a process that has ended, and let the worker be started again unless the server stops."""
        its, since = self._running.pop(process)
        with self.reaping:
            _, status, used = os.wait4(process, 0)
            self.workers.remove(process)
            self.ended = self.ended[0] + used.ru_utime, self.ended[1] + used.ru_stime
        self.stats.blocks[its.number].bury()
        # A terminal's Ctrl-C ends the workers too, perhaps before this process has heard of it.
        if self._closed.wait(MOMENT if status == 0 else 0):
            return
        self.restarts[its.number - 1] += 1
        code = os.waitstatus_to_exitcode(status)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        with suppress(OSError):  # stderr may be closed
            os.write(2, f"worker {its.number} (process {process}) {how}; it is started again\n".encode())
        self._closed.wait(max(since + PACE - time.monotonic(), 0))
        self._absent.append(its)
