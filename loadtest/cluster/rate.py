"""
Shares the run's rate among the users that there are: the seconds between two requests of one client, in the open model.

The master says how many users there are to be, at each step in which Locust starts or stops some; the processes that
run users change the interval so that the rate stays the same meanwhile.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import gevent
from locust.runners import Runner

from loadtest.client.recorded_user import RECORDER
from loadtest.client.scenario_user import ScenarioUser

INTERVAL: Final = "tcplab_interval"
"""The name of the option that carries the interval to the workers, and of the message that changes it."""

STOPPING: Final = 10
"""Users stopped at a time: while Locust stops some the event loop doesn't run, and requests fall due."""

STOPPING_INTERVAL: Final = 0.002
"""Seconds in which the event loop runs between them."""


class _Pending:
    """shorter: the interval to set once surplus users are gone; 0 without one."""

    shorter = 0.0


_PENDING: Final = _Pending()


def share_among(seconds: float, *, anew: bool) -> None:
    """
    Have the rate shared among more users, or fewer, by the interval for that number of them.

    A longer one holds at once, a shorter one as the surplus users go: there is no burst, and no gap. anew: each client
    begins anew with it.
    """
    if anew:
        _PENDING.shorter = 0.0
        _retune(seconds, anew=True)
    elif seconds < ScenarioUser.interval:
        _PENDING.shorter = seconds
    else:
        set_interval(seconds)


def set_interval(seconds: float) -> None:
    """Have each client's requests fall due so far apart; 0 in the closed model."""
    _PENDING.shorter = 0.0
    if seconds and seconds != ScenarioUser.interval:
        _retune(seconds)


def _retune(seconds: float, *, anew: bool = False) -> None:
    ScenarioUser.interval = seconds
    RECORDER.retune(int(seconds * 1e9), anew=anew)


def stop_and_speed_up(runner: Runner, counts: dict[str, int], stop: Callable[[dict[str, int]], None]) -> None:
    """
    Stop users, by their class's name, and shorten the others' interval as they go: see `share_among`.

    In parts: to stop a thousand at once would make the others' requests and replies wait for 50 ms.
    """
    staying = runner.user_count - sum(counts.values())
    # With a time to end in, each part would take it anew.
    if staying <= 0 or runner.environment.stop_timeout:
        stop(counts)
    else:
        for part in parts(counts):
            stop(part)
            seconds = _PENDING.shorter * runner.user_count / staying
            if _PENDING.shorter < seconds < ScenarioUser.interval:
                _retune(seconds)
            gevent.sleep(STOPPING_INTERVAL)
    if _PENDING.shorter:
        set_interval(_PENDING.shorter)


def parts(counts: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield users to stop, by class, in parts of about STOPPING; in a hundred parts at most."""
    left = dict(counts)
    size = max(STOPPING, math.ceil(sum(left.values()) / 100))
    while any(left.values()):
        room, part = size, {}
        for name, number in left.items():
            if taken := min(room, number):
                part[name] = taken
                room -= taken
        for name, taken in part.items():
            left[name] -= taken
        yield part
