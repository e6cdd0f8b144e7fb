"""The Locust user whom the engine plays."""

import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

import gevent
from locust import task
from locust.env import Environment

from loadtest import feed
from loadtest.engine import ENGINE
from loadtest.greenlets import run_for_ever
from loadtest.outcomes import ERRORS
from loadtest.player import Player, Target
from loadtest.user import RECORDER, PlayingUser

FEED_INTERVAL: Final = 0.5
"""Seconds between two batches of requests for Locust's own statistics."""

_clock: Final = time.perf_counter_ns


class EngineUser(PlayingUser):
    """
    A user who plays `scenario` until it is stopped, driven by the process's engine.

    Locust's `request` event is fired for failures alone; what went well reaches the statistics in batches (feed.py).
    """

    abstract = True
    _targets: ClassVar[dict[str, Target]] = {}
    _feeds: ClassVar[dict[str, feed.Feed]] = {}
    _failures: ClassVar[list[Callable[[], None]]] = []

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        host = self.host or ""
        self._target = self._targets.get(host) or self._targets.setdefault(host, Target(host))
        if not self._feeds:
            run_for_ever(_feed_statistics)
        if self.name not in self._feeds:
            self._feeds[self.name] = feed.Feed(environment, self.name)
            RECORDER.book(self.name).told = self._feeds[self.name].take
        self._player: Player | None = None

    @task
    def play(self) -> None:
        """Have the scenario played until this greenlet is killed."""
        if self._target.where is None:
            self._target.look_up()
        self._player = Player(ENGINE, self._target, self.tracker, self.begin(), self._tell)
        ENGINE.add(self._player)
        gevent.get_hub().switch()

    def stop(self, force: bool = False) -> bool:
        """Stop at once: its greenlet is parked, and waits for nothing of its own."""
        return bool(super().stop(force=True))

    def on_stop(self) -> None:
        """Play no more; what is unanswered is counted as such."""
        if self._player is not None:
            self._player.stop()
        else:
            self.tracker.stopped(_clock())

    def _tell(self, outcome: str, nanoseconds: int | None, first: bool) -> None:
        """Tell Locust of a failure once the engine lets others have a turn: a listener of somebody's may wait."""
        fire = partial(
            self.environment.events.request.fire,
            request_type=feed.METHOD,
            name=feed.names(self.name)[not first],
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
        for name, each in cls._feeds.items():
            RECORDER.book(name).settle()
            each.flush(len("OK \n") + cls.scenario.size)


def _tell_failures(failures: list[Callable[[], None]]) -> None:
    while failures:
        failures[0]()
        del failures[0]


def _feed_statistics() -> None:
    """Hand on to Locust's statistics what users have done, for ever."""
    while True:
        gevent.sleep(FEED_INTERVAL)
        EngineUser.flush()
