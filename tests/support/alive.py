"""What it means that a server is alive after all that was done to it."""

import functools
import time
from dataclasses import dataclass
from typing import Final

import psutil

from tests.support.servers import Model, Server

SERVED: Final = 1.0
"""Seconds within which a new client has its reply, from when it begins to connect."""

BACK: Final = 5.0
"""Seconds within which a server has given back what it needed for those who have left."""

SLACK: Final = 2
"""Descriptors and threads more than in a server to which nothing was done: a client may just be leaving."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds: open descriptors, and threads of the operating system."""

    descriptors: int
    threads: int


def holdings(server: Server) -> Holdings:
    """Return what the server's process holds now."""
    process = psutil.Process(server.process.pid)
    return Holdings(process.num_fds(), process.num_threads())


@functools.cache
def untouched(model: Model) -> Holdings:
    """Return what a server holds that has served one client and nothing else."""
    with Server(model) as server:
        with server.client() as only:
            only.ask(b"ECHO only\n", b"OK only\n")
        server.wait_for_ends(1)
        return holdings(server)


def served_at_once(server: Server) -> None:
    """Hold that a new client is served within a second."""
    began = time.monotonic()
    try:
        with server.client(SERVED) as new:
            new.ask(b"ECHO alive\n", b"OK alive\n")
        assert time.monotonic() - began < SERVED
    except (OSError, AssertionError) as error:
        raise AssertionError(f"a new client is not served:\n{server.metrics().text}") from error


def settled(server: Server, clients: int = 0) -> None:
    """Hold that within five seconds it has no more than an untouched server, and a thread and descriptor for each."""
    bound = untouched(server.model)
    most = Holdings(bound.descriptors + clients + SLACK, bound.threads + clients + SLACK)
    deadline = time.monotonic() + BACK
    while (held := holdings(server)).descriptors > most.descriptors or held.threads > most.threads:
        assert time.monotonic() < deadline, f"it keeps {held}, where {most} suffices"
        time.sleep(0.02)


def alive(server: Server) -> None:
    """Hold that a new client is served, and that what others needed is given back; a server may also have ended."""
    if server.process.poll() is None:
        served_at_once(server)
        settled(server)
