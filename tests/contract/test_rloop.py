"""
The event loop rloop, which is young: what servers do on it, and what it lacks (servers/loops.py).

No test asks for metrics after a client has left: rloop 0.5.0 aborts if their thread frees the client's transport.
"""

import pytest

from servers.variants import VARIANTS
from tests.support.servers import UNKNOWN, Model, Server

LOOP = ("--loop", "rloop")
ON_A_LOOP = [
    Model(each.name, each.name, (*LOOP, *(("--workers", "1") if "workers" in each.options else ())))
    for each in VARIANTS
    if each.connection != "blocking"
]


@pytest.mark.parametrize("model", ON_A_LOOP, ids=lambda model: f"{model.name}-rloop")
def test_it_answers_one_after_another(model: Model) -> None:
    with Server(model) as running, running.client() as one, running.client() as other:
        one.ask(b"ECHO a\nSLEEP 50 b\nWORK 10 c\nwhat\n", b"OK a\nOK b\nOK c\n" + UNKNOWN)
        other.ask(b"ECHO " + b"x" * 60_000 + b"\n", b"OK " + b"x" * 60_000 + b"\n")
        one.ask(b"ECHO d\nQUIT\n", b"OK d\nOK\n")
        other.ask(b"QUIT\n", b"OK\n")


@pytest.mark.xfail(strict=True, raises=TimeoutError, reason="rloop 0.5.0 never closes a connection's descriptor")
@pytest.mark.parametrize("model", ON_A_LOOP, ids=lambda model: f"{model.name}-rloop")
def test_it_closes_a_client_that_quits(model: Model) -> None:
    with Server(model) as running, running.client(timeout=2) as client:
        client.ask(b"QUIT\n", b"OK\n")
        client.expect_end()
