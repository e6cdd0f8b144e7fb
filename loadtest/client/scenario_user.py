"""The Locust user that plays a scenario of the lab, driven by the event loop."""

import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from random import Random
from typing import ClassVar, Final

import gevent
from locust import task
from locust.env import Environment

from loadtest.client import locust_stats
from loadtest.client.address import address_of
from loadtest.client.connection import ClientConnection
from loadtest.client.event_loop import EVENT_LOOP, run_for_ever
from loadtest.client.outcomes import ERRORS
from loadtest.client.recorded_user import RECORDER, RecordedUser
from loadtest.client.script import Script, SlowClient, play
from loadtest.pacing import ARRIVALS, Gaps, Periodic, Poisson, Schedule
from loadtest.scenarios import DEFAULT, SCENARIOS, Scenario

BATCH_INTERVAL: Final = 0.5
"""Seconds between two batches of requests for Locust's own statistics."""

_SLOW_CLIENTS: Final = defaultdict[str, SlowClient](SlowClient)
"""Which clients of this process stall, by the name of their users."""

_PLAYING: Final = defaultdict[str, dict["ScenarioUser", None]](dict)
"""The users of this process that play, by their name, in the order of their start; the first has the neighbour."""

_RANDOM: Final = Random()
"""What clients draw from; a forked process draws anew."""

os.register_at_fork(after_in_child=_RANDOM.seed)

_GAPS: Final = Gaps()
"""Between the requests of Poisson arrivals, for all clients of this process."""

_clock: Final = time.perf_counter_ns


class ScenarioUser(RecordedUser):
    """
    A user that plays `scenario` until it is stopped. A run sets it, arrivals and interval, for all such users at once.

    Locust's `request` event is fired for failures alone; successes reach its statistics in batches (locust_stats.py).

    arrivals: one of ARRIVALS. interval: (mean) seconds between two requests of this user, if the scenario is paced:
    users divided by requests per second.
    """

    abstract = True
    scenario: ClassVar[Scenario] = SCENARIOS[DEFAULT]
    arrivals: ClassVar[str] = ARRIVALS[0]
    interval: ClassVar[float] = 1.0
    _batches: ClassVar[dict[str, locust_stats.Batches]] = {}
    _failures: ClassVar[list[Callable[[], None]]] = []

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._address = address_of(self.host or "")
        if not self._batches:
            run_for_ever(_flush_for_ever)
        if self.name not in self._batches:
            self._batches[self.name] = locust_stats.Batches(environment, self.name)
            RECORDER.variant_stats(self.name).told = self._batches[self.name].take
        self._connection: ClientConnection | None = None
        self._neighbour: ClientConnection | None = None

    @task
    def play(self) -> None:
        """Have the scenario played until this greenlet is killed."""
        if self._address.where is None:
            self._address.look_up()
        self._connection = ClientConnection(EVENT_LOOP, self._address, self.client_stats, self._script(), self._tell)
        EVENT_LOOP.add(self._connection)
        _PLAYING[self.name][self] = None
        self._see_to_neighbours()
        gevent.get_hub().switch()

    def _script(self) -> Script:
        """Return the steps to play; the client_stats knows their schedule, if there is one."""
        self.client_stats.schedule = _schedule(self.scenario, self.arrivals, self.interval)
        return play(self.scenario, _new_name(), _RANDOM, _SLOW_CLIENTS[self.name])

    def _see_to_neighbours(self) -> None:
        """Have the first user of this name bring its neighbour, if the scenario has one."""
        first = next(iter(_PLAYING[self.name]), None)
        if first is None or first._neighbour is not None or first.scenario.neighbour is None:
            return
        stats = RECORDER.neighbour(self.name)
        stats.started()
        script = play(first.scenario.neighbour, _new_name(), _RANDOM, _SLOW_CLIENTS[self.name])
        first._neighbour = ClientConnection(EVENT_LOOP, first._address, stats, script, first._tell)
        EVENT_LOOP.add(first._neighbour)

    def stop(self, force: bool = False) -> bool:
        """Stop at once: its greenlet is parked, and waits for nothing of its own."""
        return bool(super().stop(force=True))

    def on_stop(self) -> None:
        """End the client; what is unanswered is counted as such."""
        if self._connection is not None:
            self._connection.stop()
        else:
            self.client_stats.stopped(_clock())
        _PLAYING[self.name].pop(self, None)
        if self._neighbour is not None:
            self._neighbour.stop()
            self._see_to_neighbours()

    def _tell(self, outcome: str, nanoseconds: int | None, first: bool) -> None:
        """Tell Locust of a failure once the event loop lets others have a turn: a listener may wait."""
        fire = partial(
            self.environment.events.request.fire,
            request_type=locust_stats.METHOD,
            name=locust_stats.names(self.name)[not first],
            response_time=None if nanoseconds is None else nanoseconds // 1000 / 1000,
            response_length=0,
            exception=ERRORS[outcome],
            context={},
        )
        self._failures.append(fire)
        if len(self._failures) == 1:
            gevent.spawn(_tell_failures, self._failures)

    @classmethod
    def flush(cls) -> None:
        """Hand on to Locust what the recorder has counted since the last time."""
        for name, batches in cls._batches.items():
            RECORDER.variant_stats(name).settle()
            batches.flush(len("OK \n") + cls.scenario.size)


def _new_name() -> bytes:
    """Return a client's name, which no other client has in any process."""
    return secrets.token_hex(8).encode()


def _schedule(scenario: Scenario, arrivals: str, interval: float) -> Schedule | None:
    """Return when the requests of a new client are due, if not when it wants to send them; `interval`: seconds."""
    if not scenario.paced:
        return None
    if arrivals == "poisson":
        return Poisson(_clock(), int(interval * 1e9), _GAPS.draw)
    # Clients start anywhere in their interval, or they would all send at the same moments.
    return Periodic(_clock() + int(interval * _RANDOM.random() * 1e9), int(interval * 1e9))


def _tell_failures(failures: list[Callable[[], None]]) -> None:
    while failures:
        failures[0]()
        del failures[0]


def _flush_for_ever() -> None:
    """Hand on to Locust's statistics what users have done, for ever."""
    while True:
        gevent.sleep(BATCH_INTERVAL)
        ScenarioUser.flush()
