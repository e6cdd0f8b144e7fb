"""Servers for the tests: one per module with the default options, and fresh ones where options or state matter."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.alive import alive
from tests.support.servers import CONCURRENT, EVERY, Client, Model, Server

Launch = Callable[..., Server]


@pytest.fixture(scope="module", params=EVERY, ids=lambda model: str(model.name))
def model(request: pytest.FixtureRequest) -> Model:
    """Every model in turn."""
    chosen: Model = request.param
    return chosen


@pytest.fixture(scope="module", params=CONCURRENT, ids=lambda model: str(model.name))
def concurrent(request: pytest.FixtureRequest) -> Model:
    """Every model that serves several clients at once."""
    chosen: Model = request.param
    return chosen


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[Server]:
    """Share a server with the default options in the module; it must be alive after the last test."""
    with Server(model) as running:
        yield running
        alive(running)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Connect a client to the shared server."""
    with server.client() as connected:
        yield connected


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Return a function that starts a server; after the test all must be alive and end well, or have ended well."""
    with ExitStack() as stack:

        def start(model: Model, *options: str, **settings: object) -> Server:
            running = stack.enter_context(Server(model, *options, **settings))  # type: ignore[arg-type]
            stack.callback(alive, running)
            return running

        yield start
