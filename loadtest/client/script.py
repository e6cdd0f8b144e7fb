"""
A client's side of a scenario, without I/O: it says what to do next, connection.py does it and says how it went.

    steps = play(scenario, name, random.Random(), SlowClient())
    step = next(steps)
    while True:
        step = steps.send(do(step))     # True if it went well
"""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, count
from random import Random
from typing import Final, NamedTuple, NoReturn

from loadtest.scenarios import Scenario
from servers import wire

SETBACK: Final = 1.0
"""Seconds (± half) that a client stays away after a failure, at least: a server in trouble isn't hammered."""


class Connect(NamedTuple):
    """Open a connection. Went well: it is open."""


@dataclass(slots=True)
class Send:
    """
    Send `request` and wait for exactly `reply`, nothing less and nothing more. Went well: so it was.

    A script yields the same object each time, for making one is a third of the time that a request's script takes: a
    connection takes from it what it needs before it goes on.

    last: the client leaves after this reply; the connection half-closes and reads to the end, to see surplus bytes.
    stall: seconds to wait between the request's first half and its second, with which it counts as sent.
    """

    request: bytes
    reply: bytes
    last: bool
    stall: float


class Pause(NamedTuple):
    """Wait. Went well: the connection, if there is one, is still whole, as far as can be seen."""

    seconds: float


class Turn(NamedTuple):
    """Wait until the client's next request is due by its schedule; the next Send is that one. Went well: as Pause."""


class Leave(NamedTuple):
    """Close the connection, if it is open. Always goes well."""


Step = Connect | Send | Pause | Turn | Leave

Script = Generator[Step, bool, NoReturn]
"""Yields steps for ever; is sent whether each went well."""

# Steps without a parameter are always the same; a client in a hurry makes a hundred thousand a second.
_CONNECT: Final = Connect()
_TURN: Final = Turn()
_LEAVE: Final = Leave()


def _nonces() -> Iterator[list[bytes]]:
    """Yield eight digits that no server can guess, by the thousand: to ask the kernel for each would cost 1 us."""
    while True:
        yield os.urandom(4096).hex(" ", 4).encode().split()


_nonce: Final = chain.from_iterable(_nonces()).__next__


class SlowClient:
    """Which client stalls: one of all that share this object."""

    def __init__(self) -> None:
        self._name: bytes | None = None

    def stalls(self, name: bytes) -> bool:
        """Whether the client of this name is the one; if there is none yet, it is from now on."""
        self._name = self._name or name
        return self._name == name

    def leaves(self, name: bytes) -> None:
        """Let another client be the one, if this was."""
        if self._name == name:
            self._name = None


def play(scenario: Scenario, name: bytes, random: Random, slow_client: SlowClient) -> Script:
    """
    Yield the steps of one client for ever; the connection sends back whether each went well, and closes it in the end.

    name: at most 16 bytes without a dot, which no other client has; every message begins with it and with
    the message's number, so no two messages of all clients have the same text. Raises ValueError otherwise.
    A nonce follows, so that a reply can't be sent before its request has been read.
    """
    if len(name) > 16 or b"." in name:
        raise ValueError(f"{name!r} is longer than 16 bytes, or has a dot")
    command = scenario.command.encode() + (b" %d" % scenario.amount if scenario.command != "ECHO" else b"")
    ask, echo = b"%b %b." % (command, name), b"ECHO %b." % name
    share, draw = scenario.share, random.random
    answer = wire.ok(b" %b." % name).removesuffix(b"\n")
    filler = b"x" * (scenario.size - len(name) - len(b"..") - len(_nonce())) + b"\n"
    rest = b""
    serial = 0
    longer = 1  # the next serial that has a digit more
    send = Send(b"", b"", False, 0.0)
    try:
        while True:
            stall = scenario.stall if scenario.stall and slow_client.stalls(name) else 0.0
            if scenario.paced:
                yield _TURN
            well = yield _CONNECT
            for number in count(1):
                if number > 1:
                    if scenario.paced:
                        well = yield _TURN
                    elif scenario.think:
                        well = yield Pause(_around(scenario.think, scenario.think_spread, random))
                if not well:
                    break
                serial += 1
                if serial == longer:
                    longer *= 10
                    rest = filler[len(str(serial)) :]
                tail = b"%d.%b%b" % (serial, _nonce(), rest)
                send.request = (ask if share == 1 or draw() < share else echo) + tail
                send.reply = answer + tail
                send.last = number == scenario.requests
                send.stall = stall if number == 2 else 0.0
                well = yield send
                if send.last or not well:
                    break
            yield _LEAVE
            away, spread = (scenario.away, scenario.away_spread) if well else (max(SETBACK, scenario.away), 0.5)
            if away and not scenario.paced:
                yield Pause(_around(away, spread, random))
    finally:
        slow_client.leaves(name)


def _around(mean: float, spread: float, random: Random) -> float:
    """Return seconds drawn evenly from mean * (1 ± spread)."""
    return mean * random.uniform(1 - spread, 1 + spread)
