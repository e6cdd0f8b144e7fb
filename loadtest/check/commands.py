"""The rows about the commands that a server may know besides ECHO, and about errors."""

import time
from typing import Final

from loadtest.check.client import CLOSED, RowFailedError, told
from loadtest.check.row import row
from loadtest.check.server import Server
from loadtest.check.wire import LONGEST, ask_all, is_error

COMMANDS: Final = ("SLEEP", "WORK", "QUIT", "ERR")
"""What a server may be said to know; ERR: it answers any other line so."""

_NAP: Final = 0.3
"""Seconds of a SLEEP."""

_EARLY: Final = 0.001
"""Seconds: some timers count whole milliseconds."""


@row("ERR")
def errors(server: Server) -> None:
    """Any other line is answered with one ERR line, and the connection goes on."""
    ask_all(server, "errors")


@row("ERR", after=("overlong-line", "errors"))
def overlong_error(server: Server) -> None:
    """A line over 64 KiB is answered with ERR, which arrives though the client sends more; then the server closes."""
    for more in (b"\n", b"y" * 130_000 + b"\n"):
        with server.client() as client:
            client.send(LONGEST + b"x" + more)
            came, end = client.rest()
            if end != CLOSED or not is_error(came):
                raise client.failure(told(came, end), f"one ERR line, then {CLOSED}")


@row("SLEEP")
def sleep(server: Server) -> None:
    """`SLEEP <ms> <text>` is answered with `OK <text>` once so many milliseconds have passed."""
    ask_all(server, "sleep")
    with server.client() as client:
        began = time.monotonic()
        client.ask(b"SLEEP 300 x\n", b"OK x\n")
        if (took := time.monotonic() - began) < _NAP - _EARLY:
            raise RowFailedError("SLEEP 300 x", f"the reply after {took * 1e3:.0f} ms", "it takes 300 ms or more")


@row("SLEEP", after=("order", "sleep"))
def sleep_order(server: Server) -> None:
    """What follows a SLEEP on its connection is answered after it."""
    with server.client() as client:
        client.ask(b"SLEEP 60 1\nECHO 2\nSLEEP 0 3\nSLEEP 20 4\nECHO 5\n", b"OK 1\nOK 2\nOK 3\nOK 4\nOK 5\n")


@row("SLEEP", clients=2, after=("second", "sleep"))
def sleep_others(server: Server) -> None:
    """While one client is in a SLEEP, another is served."""
    with server.client() as sleeping, server.client() as other:
        for client in (sleeping, other):
            client.echo(b"in")
        sleeping.send(b"SLEEP 800 x\n")
        began = time.monotonic()
        for turn in range(10):
            other.echo(b"%d" % turn)
        echoed = time.monotonic()
        sleeping.expect(b"OK x\n")
        if echoed - began > time.monotonic() - echoed:
            came = f"ten replies after {echoed - began:.1f} s"
            raise RowFailedError(
                "SLEEP 800 x by one client, ten ECHO by another", came, "ten replies in the first half of the SLEEP"
            )


@row("SLEEP", "ERR", after=("sleep", "errors"))
def sleep_numbers(server: Server) -> None:
    """A SLEEP without a whole number from 0 to 10000 is answered with ERR."""
    ask_all(server, "sleep-numbers")


@row("WORK")
def work(server: Server) -> None:
    """`WORK <n> <text>` is answered with `OK <text>` after n rounds of some computing, 1,000,000 at most."""
    ask_all(server, "work")


@row("WORK", "ERR", after=("work", "errors"))
def work_numbers(server: Server) -> None:
    """A WORK without a whole number from 0 to 1000000 is answered with ERR."""
    ask_all(server, "work-numbers")


@row("QUIT", after=("order",))
def quit_(server: Server) -> None:
    """`QUIT` is answered with `OK`; then the server closes, and what follows gets no reply."""
    for more in (b"", b"ECHO more\n", b"ECHO unfinished", b"ECHO more\n" * 5_000):
        with server.client() as client:
            client.send(b"ECHO a\nQUIT\n" + more)
            client.expect(b"OK a\nOK\n")
            client.expect_end()
