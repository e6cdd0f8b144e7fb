"""The server that is asked: where it is, and its process if it is started here."""

import math
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import psutil

from loadtest.check.client import PATIENCE, Client, RowFailedError
from loadtest.client.outcomes import split_address
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.process_memory import Look, ProcessMemory
from loadtest.compare.measure.run import ROOT
from loadtest.lab.processes import Child, ChildFailedError, Children, Interrupt, describe, python_environment

GRACE: Final = 10.0
"""Seconds from SIGTERM to the end: Docker waits so long before it kills."""

ENDING: Final = 0.3
"""Seconds that a process may take to end after its clients have noticed."""

_KILLED_WITHIN = 5.0
_READY_WITHIN = 20.0
_ROW = 60.0
_SEEN_WITHIN = 0.3
_QUOTED = 300

_Found = TypeVar("_Found")


class NotServingError(Exception):
    """No client can connect; the text says why."""


class Server(Children):
    """
    One server, which `restart` starts, and starts again; as a context that kills all of its processes.

    After processes.adopt_orphans, these are also those that have left their parent, or are in a session of their own.
    folder: for its output. serves: how many clients it takes at once.
    """

    def __init__(self, candidate: Candidate, folder: Path, *, serves: int) -> None:
        super().__init__()
        self.serves = serves
        self.child: Child | None = None
        self.interrupt = Interrupt(self)
        self._candidate = candidate
        self._folder = folder
        self._deadline = math.inf
        self._others = set(psutil.Process().children())
        self._seen: set[psutil.Process] = set()
        self.address = split_address(candidate.address) if candidate.address else ("127.0.0.1", 0)

    @property
    def started_here(self) -> bool:
        """Whether its process is known."""
        return bool(self._candidate.command)

    def restart(self) -> None:
        """Start it, in place of the one before; NotServingError if no client can connect."""
        self.end()
        if self.started_here:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.address = listener.getsockname()
            command = [part.replace("{port}", str(self.address[1])) for part in self._candidate.command]
            folder = Path(self._candidate.folder or ROOT)
            try:
                child = Child(self._candidate.name, command, self._folder, cwd=folder, env=python_environment())
            except ChildFailedError as error:
                raise NotServingError(str(error)) from error
            self.child = self.add(child)
        deadline = time.monotonic() + (_READY_WITHIN if self.child else 0.0)
        while why := self.refusal():
            if self.child is None or self.child.status() is not None or time.monotonic() > deadline:
                raise NotServingError(self._not_serving(why))
            self.interrupt.sleep(0.02)

    def _not_serving(self, why: str) -> str:
        name = self._candidate.name
        if self.child is None:
            return f"no client can connect to {name}: {why}; start it first, or correct its address"
        said = self.child.tail()
        quoted = said if len(said) <= _QUOTED else f"...{said[-_QUOTED:]}"
        ended = self.how_it_ended() or f"after {_READY_WITHIN:g} s it does not listen on the port of {{port}}"
        return f"no client can connect to {name}: {why}; {ended}: {quoted}; correct its command"

    def refusal(self) -> str:
        """Return why no client can connect; "" if one can."""
        try:
            socket.create_connection(self.address, PATIENCE).close()
        except OSError as error:
            return error.strerror or str(error)
        except UnicodeError:
            return f"{self.address[0]} is no host's name"
        return ""

    def processes(self) -> set[psutil.Process]:
        """Return its processes that run; it remembers them, because they may leave."""
        for root in self._roots():
            with suppress(psutil.Error):
                self._seen |= {root, *root.children(recursive=True)}
            if self.child is None or root.pid != self.child.pid:  # an adopted process: only this waits for it
                with suppress(ChildProcessError):
                    os.waitpid(root.pid, os.WNOHANG)
        self._seen = {each for each in self._seen if _runs(each)}
        return self._seen

    def _roots(self) -> list[psutil.Process]:
        """Return those that are children of this process."""
        return [each for each in psutil.Process().children() if each not in self._others]

    def kill(self) -> None:
        """Kill all at once; a server that was not started here stays."""
        self.processes()
        super().kill()
        for each in self.processes():
            with suppress(psutil.Error):
                each.kill()

    def end(self) -> None:
        """Kill all and forget them."""
        self.kill()
        super().end()
        deadline = time.monotonic() + _KILLED_WITHIN
        while self.processes() and time.monotonic() < deadline:
            self.kill()
            time.sleep(0.01)
        self.child = None

    def begin_row(self) -> None:
        """Give a row its time: `pause` raises RowFailedError after it."""
        self._deadline = time.monotonic() + _ROW
        self.processes()

    def pause(self) -> None:
        """Raise if the user has interrupted, or the row takes too long."""
        self.interrupt.check()
        if time.monotonic() > self._deadline:
            raise RowFailedError("all of this row's requests", f"no end within {_ROW:g} s", "all of their replies")

    def client(self, *, small: bool = False) -> Client:
        """Connect a client. small: with a small receive buffer."""
        return Client(self.address, self.pause, small=small)

    def look(self) -> Look:
        """Return its memory, threads and sockets."""
        looks, came = [], ""
        for root in self._roots():
            try:
                looks.append(ProcessMemory(root.pid).look())
            except psutil.NoSuchProcess:  # it has ended since
                continue
            except psutil.Error as error:
                came = str(error)
        if came := self.how_it_ended() or came:
            raise RowFailedError("some of this row's requests", came, "a running server")
        return Look(*map(sum, zip(*looks, strict=True)))

    def listens(self) -> bool:
        """
        Whether one of the processes that were started here has the listening socket: no container's, for example.

        It looks several times: the kernel's table of sockets may lack one while others come and go.
        """
        return not self.wait_while(lambda: not self._listens(), _SEEN_WITHIN)

    def _listens(self) -> bool:
        for process in self.processes():
            with suppress(psutil.Error):
                found = process.net_connections("tcp")
                if any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.address[1] for each in found):
                    return True
        return False

    def how_it_ended(self, within: float = 0.0) -> str:
        """Return how its process ends, in words; "" if it does not within so many seconds, or was not started here."""
        if self.child is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            return f"the server ended, {describe(self.child.process.wait(within))}"
        return ""

    def terminate(self) -> None:
        """Send SIGTERM to its first process."""
        self.processes()
        if self.child is not None:
            self.child.ask()

    def wait_for_end(self) -> bool:
        """Return whether its first process ends within the grace."""
        return not self.wait_while(lambda: not self.how_it_ended(), GRACE)

    def wait_while(self, found: Callable[[], _Found], within: float) -> _Found:
        """Return what is found: once it is false or empty, or after so many seconds."""
        deadline = time.monotonic() + within
        while (last := found()) and time.monotonic() < deadline:
            self.interrupt.sleep(0.02)
        return last

    def still_serves(self) -> None:
        """Raise RowFailedError unless it runs and answers a new client."""
        if ended := self.how_it_ended():
            raise RowFailedError("all of this row's requests", ended, "a running server")
        try:
            with self.client() as client:
                client.ask(b"ECHO afterwards\n", b"OK afterwards\n")
        except RowFailedError as failed:
            came = self.how_it_ended() or failed.came
            raise RowFailedError(f"afterwards, by a new client: {failed.sent}", came, failed.expected) from failed


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
