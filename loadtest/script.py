"""
A client's side of a scenario, without I/O: it says what to do next, a driver does it and says how it went.

Every driver runs the same script (see TcpUser in user.py):

    steps = play(scenario, who, random.Random())
    step = next(steps)
    while True:
        step = steps.send(do(step))     # True if it went well
"""

from collections.abc import Generator
from itertools import count
from random import Random
from typing import Final, NamedTuple, NoReturn

from loadtest.scenarios import Scenario
from servers import wire

SETBACK: Final = 1.0
"""Seconds (± half) that a client stays away after a failure, at least: a server in trouble isn't hammered."""


class Connect(NamedTuple):
    """Open a connection. Went well: it is open."""


class Send(NamedTuple):
    """
    Send `request` and wait for exactly `reply`, nothing less and nothing more. Went well: so it was.

    last: the client leaves after this reply; the driver may half-close and read to the end to see surplus bytes.
    """

    request: bytes
    reply: bytes
    last: bool


class Pause(NamedTuple):
    """Wait. Always goes well."""

    seconds: float


class Leave(NamedTuple):
    """Close the connection, if it is open. Always goes well."""


Step = Connect | Send | Pause | Leave


def play(scenario: Scenario, who: bytes, random: Random) -> Generator[Step, bool, NoReturn]:
    """
    Yield the steps of one client for ever; the driver sends back whether each went well.

    who: at most 24 bytes without a dot, which no other client has; every message begins with it and with
    the message's number, so no two messages of all clients have the same text. Raises ValueError otherwise.
    """
    if len(who) > 24 or b"." in who:
        raise ValueError(f"{who!r} is longer than 24 bytes, or has a dot")
    command = scenario.command.encode()
    if scenario.command != "ECHO":
        command += b" %d" % scenario.amount
    serial = count(1)
    while True:
        well = yield Connect()
        for number in count(1):
            if not well:
                break
            text = (b"%b.%d." % (who, next(serial))).ljust(scenario.size, b"x")
            last = number == scenario.requests
            well = yield Send(b"%b %b\n" % (command, text), wire.ok(b" " + text), last)
            if last:
                break
            if well and scenario.think:
                yield Pause(_around(scenario.think, scenario.think_spread, random))
        yield Leave()
        if not well:
            yield Pause(_around(max(SETBACK, scenario.away), 0.5, random))
        elif scenario.away:
            yield Pause(_around(scenario.away, scenario.away_spread, random))


def _around(mean: float, spread: float, random: Random) -> float:
    """Return seconds drawn evenly from mean * (1 ± spread)."""
    return mean * random.uniform(1 - spread, 1 + spread)
