"""The server that is asked: where it is, and its process if it is started here."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from loadtest.check.client import PATIENCE, Client, RowFailedError
from loadtest.client.outcomes import split_address
from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.process_memory import Look, ProcessMemory
from loadtest.compare.measure.run import ROOT
from loadtest.lab.processes import Child, ChildFailedError, Children, Interrupt, describe, python_environment

GRACE: Final = 10.0
"""Seconds from SIGTERM to the end: Docker waits so long before it kills."""

_READY_WITHIN = 20.0


class NotServingError(Exception):
    """No client can connect; the text says why."""


class Server:
    """
    One server, which `restart` starts, and starts again.

    folder: for its output. serves: how many clients it takes at once.
    """

    def __init__(
        self, candidate: Candidate, folder: Path, children: Children, interrupt: Interrupt, *, serves: int
    ) -> None:
        self.serves = serves
        self.child: Child | None = None
        self.interrupt = interrupt
        self._candidate = candidate
        self._folder = folder
        self._children = children
        self._family: list[psutil.Process] = []
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
            self.child = self._children.add(child)
        deadline = time.monotonic() + (_READY_WITHIN if self.child else 0.0)
        while why := self.refusal():
            if self.child is None or self.child.status() is not None or time.monotonic() > deadline:
                said = f": {self.child.tail()}" if self.child else ""
                raise NotServingError(f"no client can connect to {self._candidate.name}: {why}{said}")
            self.interrupt.sleep(0.02)

    def refusal(self) -> str:
        """Return why no client can connect; "" if one can."""
        try:
            socket.create_connection(self.address, PATIENCE).close()
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def end(self) -> None:
        """Kill it and what it has started; a server that was not started here stays."""
        self._children.kill()
        self._children.end()
        for process in self._family:  # the first of them may have ended without the others
            with suppress(psutil.Error):
                process.kill()
        self._family = []
        self.child = None

    def client(self, *, small: bool = False) -> Client:
        """Connect a client. small: with a small receive buffer."""
        return Client(self.address, self.interrupt.check, small=small)

    def look(self) -> Look:
        """Return its memory, threads and sockets."""
        try:
            return ProcessMemory(self.remember_family()[0].pid).look()
        except (psutil.Error, IndexError) as error:
            raise RowFailedError(
                "some of this row's requests", self.how_it_ended() or str(error), "a running server"
            ) from error

    def remember_family(self) -> list[psutil.Process]:
        """Note its processes, and return them, the first one first; none if it was not started here."""
        with suppress(psutil.Error):
            if self.child is not None and self.child.status() is None:
                root = psutil.Process(self.child.pid)
                self._family = [root, *root.children(recursive=True)]
        return self._family

    def how_it_ended(self, within: float = 0.0) -> str:
        """Return how its process ends, in words; "" if it does not within so many seconds, or was not started here."""
        if self.child is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            return f"the server ended, {describe(self.child.process.wait(within))}"
        return ""

    def terminate(self) -> None:
        """Send SIGTERM to its first process."""
        self.remember_family()
        if self.child is not None:
            self.child.ask()

    def wait_for_end(self) -> bool:
        """Return whether its first process ends within the grace."""
        deadline = time.monotonic() + GRACE
        while not self.how_it_ended() and time.monotonic() < deadline:
            self.interrupt.sleep(0.02)
        return bool(self.how_it_ended())

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
