"""The processes of the server that is asked, wherever they go."""

import os
import time
from contextlib import suppress
from typing import Final

import psutil

from loadtest.lab.processes import Children

_PATIENCE: Final = 5.0
"""Seconds until what was killed has ended."""


class Family(Children):
    """
    A server's processes, as a context that kills them: those in a session of their own too.

    After processes.adopt_orphans, a process that has left its parent is one of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._others = set(psutil.Process().children())
        self._seen: set[psutil.Process] = set()

    def roots(self) -> list[psutil.Process]:
        """Return those that are children of this process."""
        return [each for each in psutil.Process().children() if each not in self._others]

    def processes(self) -> set[psutil.Process]:
        """Return those that run; it remembers them, because they may leave."""
        started = {child.pid for child in self._running}
        for root in self.roots():
            with suppress(psutil.Error):
                self._seen |= {root, *root.children(recursive=True)}
            if root.pid not in started:  # it was adopted: nobody else notes its end
                with suppress(ChildProcessError):
                    os.waitpid(root.pid, os.WNOHANG)
        self._seen = {each for each in self._seen if _runs(each)}
        return self._seen

    def kill(self) -> None:
        """Kill all at once."""
        processes = self.processes()
        super().kill()
        for each in processes | self.processes():
            with suppress(psutil.Error):
                each.kill()

    def end(self) -> None:
        """Kill all and forget them."""
        self.kill()
        super().end()
        deadline = time.monotonic() + _PATIENCE
        while self.processes() and time.monotonic() < deadline:
            self.kill()
            time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
