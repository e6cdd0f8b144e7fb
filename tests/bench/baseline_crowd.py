"""
The baseline in the crowd: Locust as in its documentation, with many users that seldom ask.

It measures how late its own loop is, and writes to --result the fields that the benchmark reads of a lab's result.
"""

import json
import time
from argparse import ArgumentParser
from pathlib import Path

import gevent
from locust import between, events
from locust.env import Environment

from tests.bench.baseline_load import PlainUser

INTERVAL = 0.02
lags: list[float] = []
connected: list["CrowdUser"] = []


class CrowdUser(PlainUser):
    wait_time = between(10, 30)

    def on_start(self) -> None:
        super().on_start()
        connected.append(self)


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--warmup", type=float)
    parser.add_argument("--result", type=Path)


def watch(warmup: float) -> None:
    """Record for ever, once the crowd is connected, how late a sleep of INTERVAL ends."""
    gevent.sleep(warmup)
    while True:
        due = time.perf_counter() + INTERVAL
        gevent.sleep(INTERVAL)
        late = time.perf_counter() - due
        lags.append(late)
        # A long lag counts as all the looks that there would have been meanwhile, as in the lab's own.
        lags.extend(late - INTERVAL * number for number in range(1, int(late / INTERVAL) + 1))


def begin(environment: Environment, **_: object) -> None:
    assert environment.parsed_options is not None
    gevent.spawn(watch, environment.parsed_options.warmup)


def write(environment: Environment, **_: object) -> None:
    assert environment.parsed_options is not None
    found = {
        "variants": {"asyncio": {"connected": len(connected)}},
        "generator": {"lag_p99_seconds": sorted(lags)[int(0.99 * len(lags))]},
    }
    environment.parsed_options.result.write_text(json.dumps(found))


events.init_command_line_parser.add_listener(add_options)
events.test_start.add_listener(begin)
# Not test_stop: while Locust stops all users the loop is late by a second, which is no part of what is compared.
events.test_stopping.add_listener(write)
