"""Keeps a master's workers at work: unknown ones, missing ones, and those without users."""

import logging
import time
from typing import Final

import gevent
from locust.env import Environment
from locust.runners import MasterRunner

from loadtest import locust_internals

SHORT_SECONDS: Final = 3
"""Seconds that workers may have the wrong number of users before the master distributes them again."""

GATHER_SECONDS: Final = 5.0
"""Seconds without a new worker after which all are there: those that start together join within some seconds."""

GATHER_AT_MOST: Final = 20.0
"""Seconds for which a run waits for further workers, which may join and leave for ever."""

REJOIN_SECONDS: Final = 10.0
"""Seconds between two requests to the same unknown worker to report as ready."""

logger = logging.getLogger(__name__)


class Joining:
    """What a master does about workers that come and go; call `check` once a second."""

    def __init__(self, environment: Environment, master: MasterRunner) -> None:
        self._environment = environment
        self._master = master
        self._short = 0
        self._asked: dict[str, float] = {}
        self._resume: tuple[int, float] | None = None
        self._joined = 0.0
        environment.events.worker_connect.add_listener(self._note_join)

    def gather(self) -> None:
        """
        Wait until no worker has joined for GATHER_SECONDS, for GATHER_AT_MOST at most.

        Not if the user has said how many there are, or how long the run takes.
        """
        options = vars(self._environment.parsed_options)
        if not options["autostart"] or options["headless"] or options["expect_workers"] != 1 or options["run_time"]:
            return
        give_up = time.monotonic() + GATHER_AT_MOST
        while time.monotonic() < min(self._joined + GATHER_SECONDS, give_up):
            gevent.sleep(0.1)

    def _note_join(self, **_: object) -> None:
        self._joined = time.monotonic()

    def worker_reported(self, worker: str) -> None:
        """Let a worker join that the master does not know: the master restarted, or had given the worker up."""
        now = time.monotonic()
        lately = now - self._asked.get(worker, -REJOIN_SECONDS) < REJOIN_SECONDS
        if not lately and not locust_internals.knows(self._master, worker):
            self._asked[worker] = now
            locust_internals.ask_to_report_ready(self._master, worker)

    def check(self, *, running: bool) -> None:
        """Drop missing workers, distribute users again, or restart the load; running: a run is on."""
        locust_internals.drop_missing_workers(self._master)
        self._restore_users(running)
        if self._resume and not running and locust_internals.has_idle_worker(self._master):
            logger.info("A worker is back: starting the load again")
            users_and_rate, self._resume = self._resume, None
            if self._environment.shape_class is not None:
                self._master.start_shape()
            else:
                gevent.spawn(self._master.start, *users_and_rate)

    def run_ends(self) -> None:
        """Remember a run that ends because no worker is left: it restarts once one is back."""
        if self._master.worker_count == 0 and self._master.target_user_count:
            self._resume = (self._master.target_user_count, self._master.spawn_rate)

    def forget_run(self) -> None:
        """Don't restart the last run: another one starts, or a user has stopped it."""
        self._resume = None

    def _restore_users(self, running: bool) -> None:
        """Distribute the users again after SHORT_SECONDS in which Locust overlooked that workers left or came."""
        overlooked = running and locust_internals.has_overlooked_workers(self._master)
        self._short = self._short + 1 if overlooked else 0
        if self._short >= SHORT_SECONDS:
            self._short = 0
            gevent.spawn(self._master.start, self._master.target_user_count, self._master.spawn_rate)
