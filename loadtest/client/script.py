"""
A client's side of a scenario, without I/O: it yields the next step; connection.py does it and returns the result.

    steps = play(scenario, name, random.Random(), SlowClient())
    step = next(steps)
    while True:
        step = steps.send(do(step))     # True if it succeeded
"""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, count, repeat
from random import Random
from typing import Final, NamedTuple, NoReturn

from loadtest.scenarios import Scenario
from servers import wire

SETBACK: Final = 1.0
"""The least seconds (± half) that a client stays away after a failure, to spare a server in trouble."""


class Connect(NamedTuple):
    """Open a connection. Success: it is open."""


@dataclass(slots=True)
class Send:
    """
    Send `request` and wait for `reply`. Success: exactly these bytes came.

    A script yields the same object each time, because a new one costs a third of a script's time per request: a
    connection copies what it needs before it asks for the next step.

    last: the client leaves after this reply; the connection half-closes and reads to the end, to find surplus bytes.
    stall: seconds between the request's first half and its second; the request counts as sent with the second.
    """

    request: bytes
    reply: bytes
    last: bool
    stall: float


class Pause(NamedTuple):
    """Wait. Success: the connection, if there is one, seems intact."""

    seconds: float


class Turn(NamedTuple):
    """Wait until the client's next request (the next Send) is due by its schedule. Success: as for Pause."""


class Leave(NamedTuple):
    """Close the connection, if it is open. Always succeeds."""


Step = Connect | Send | Pause | Turn | Leave

Script = Generator[Step, bool, NoReturn]
"""Yields steps for ever; is sent whether each succeeded."""

# Steps without a parameter are shared: the clients of a process may take a hundred thousand steps a second.
_CONNECT: Final = Connect()
_TURN: Final = Turn()
_LEAVE: Final = Leave()


def _nonces() -> Iterator[list[bytes]]:
    """Yield lists of random eight-digit strings: a call to the kernel for each would cost 1 us."""
    while True:
        yield os.urandom(4096).hex(" ", 4).encode().split()


_nonce: Final = chain.from_iterable(_nonces()).__next__


class SlowClient:
    """Chooses the one client that stalls, among all that share this object."""

    def __init__(self) -> None:
        self._name: bytes | None = None

    def stalls(self, name: bytes) -> bool:
        """Whether this client stalls; the first that asks is chosen."""
        self._name = self._name or name
        return self._name == name

    def leaves(self, name: bytes) -> None:
        """Let another client be chosen, if this one was."""
        if self._name == name:
            self._name = None


def play(scenario: Scenario, name: bytes, random: Random, slow_client: SlowClient) -> Script:
    """
    Yield the steps of one client for ever; the connection sends back whether each succeeded, and closes the generator.

    name: unique, at most 16 bytes, without a dot (else ValueError). Every message begins with it and with the message's
    number, so that no two messages have the same text; then a nonce, so that no server can guess a reply.
    """
    if len(name) > 16 or b"." in name:
        raise ValueError(f"{name!r} is longer than 16 bytes, or has a dot")
    ask, echo = _requests(scenario, name, random).__next__, b"ECHO %b." % name
    share, draw = scenario.share, random.random
    answer = wire.ok(b" %b." % name).removesuffix(b"\n")
    filler = b"x" * (scenario.size - len(name) - len(b"..") - len(_nonce())) + b"\n"
    rest = b""
    serial = 0
    longer = 1  # the next serial with one more digit
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
                send.request = (ask() if share == 1 or draw() < share else echo) + tail
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


def _requests(scenario: Scenario, name: bytes, random: Random) -> Iterator[bytes]:
    """Yield the first part of each request, for ever: the command, its amount, and the name."""
    command = scenario.command.encode()
    if not scenario.amount_p99:
        yield from repeat(b"%b %b." % (command if command == b"ECHO" else b"%b %d" % (command, scenario.amount), name))
    most = wire.MAX_SLEEP_MS if scenario.command == "SLEEP" else wire.MAX_WORK_ROUNDS
    mean, deviation = scenario.log_amount
    while True:
        yield b"%b %d %b." % (command, min(round(random.lognormvariate(mean, deviation)), most), name)


def _around(mean: float, spread: float, random: Random) -> float:
    """Return seconds, drawn evenly from mean * (1 ± spread)."""
    return mean * random.uniform(1 - spread, 1 + spread)
