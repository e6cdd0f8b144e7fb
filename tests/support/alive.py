"""The check that a server is alive after a test."""

import functools
import time
from dataclasses import dataclass
from typing import Final

from tests.support.servers import Model, Server

SERVED: Final = 1.0
"""Seconds from a new client's connect() to its reply, at most."""

BACK: Final = 5.0
"""Seconds until a server has released what clients that left held, at most."""

SLACK: Final = 2
"""Descriptors and threads more than an untouched server has: a client may just be leaving."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """The open descriptors and operating-system threads of the processes that serve."""

    descriptors: int
    threads: int


def holdings(server: Server) -> Holdings:
    """Return the server's holdings."""
    processes = server.serving()
    return Holdings(sum(each.num_fds() for each in processes), sum(each.num_threads() for each in processes))


@functools.cache
def untouched(model: Model) -> Holdings:
    """Return the holdings of a server that has served only one client."""
    with Server(model) as server:
        with server.client() as only:
            only.ask(b"ECHO only\n", b"OK only\n")
        server.wait_for_ends(1)
        return holdings(server)


def served_at_once(server: Server) -> None:
    """Assert that a new client is served within a second."""
    began = time.monotonic()
    try:
        with server.client(SERVED) as new:
            new.ask(b"ECHO alive\n", b"OK alive\n")
        assert time.monotonic() - began < SERVED
    except (OSError, AssertionError) as error:
        raise AssertionError(f"a new client is not served:\n{server.metrics().text}") from error


def settled(server: Server, clients: int = 0) -> None:
    """Assert that within five seconds it holds what an untouched server does, plus a thread and descriptor a client."""
    bound = untouched(server.model)
    most = Holdings(bound.descriptors + clients + SLACK, bound.threads + clients + SLACK + server.model.kept_threads)
    deadline = time.monotonic() + BACK
    while (held := holdings(server)).descriptors > most.descriptors or held.threads > most.threads:
        assert time.monotonic() < deadline, f"it keeps {held}, where {most} suffices"
        time.sleep(0.02)


def alive(server: Server) -> None:
    """Assert that the server serves a new client and has released the others' resources; it may also have ended."""
    if server.process.poll() is None:
        served_at_once(server)
        settled(server)
