"""
What every process that runs users does: it follows the phase of the run, and gives away what it counts.

Alone, it is its own worker. With a master, it learns the phase from Locust's own spawn message, which carries the
options, or by a message when that changes in the middle of a run; it reports once a second in Locust's
report_to_master, and when the window ends (CLOSE) at once (CLOSED), so that the result holds all counts of all workers.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import gevent
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest import locust_internals, settings
from loadtest.client.event_loop import EVENT_LOOP
from loadtest.client.recorded_user import RECORDER
from loadtest.client.scenario_user import ScenarioUser
from loadtest.cluster import compatibility, rate
from loadtest.cluster.compatibility import VERSION
from loadtest.locust_internals import listen
from loadtest.recording.recorder import LAG_INTERVAL

PHASE: Final = "tcplab_phase"
"""The name of the option that carries a phase to the workers, and of the message that changes it."""

RUN: Final = "tcplab_run"
"""The same for the options with which the run began: a worker that joins it later takes these, whatever has changed."""

REPORT: Final = "tcplab"
"""The key of Locust's report to the master under which a worker's counts stand."""

CLOSE: Final = "tcplab_close"
CLOSED: Final = "tcplab_closed"

logger = logging.getLogger(__name__)


def install() -> None:
    """Connect to Locust's events. A worker may be told to start before its init event has fired: this comes before."""
    locust_internals.say_version(VERSION)
    locust_internals.hear_from_the_start(compatibility.REFUSED, _Refusal().obey)
    rate.install()
    listen(events.test_start, _follow)
    listen(events.test_stopping, _end)
    listen(events.report_to_master, _report)


class _Refusal:
    """Ends a worker that the master refuses, once: each of its messages is refused, also while the process ends."""

    def __init__(self) -> None:
        self._obeyed = False

    def obey(self, data: Mapping[str, Any]) -> None:
        """End the process, with a line that names both versions."""
        if self._obeyed:
            return
        self._obeyed = True
        line = (
            f"tcplab: the master refused this worker: it is of version {VERSION}, the master of {data['version']};"
            " bring both to the same commit (in Docker, build the images again)"
        )
        # In the main greenlet, which may still wait for the master's answer.
        gevent.get_hub().handle_system_error(SystemExit, SystemExit(line))


def begin() -> None:
    """Begin to watch this process itself."""
    gevent.spawn(_watch_lag)


def obey(runner: WorkerRunner) -> None:
    """Do what the master says, which has let this worker in."""
    logger.info("%s%s:%s", settings.JOINED, runner.master_host, runner.master_port)
    runner.register_message(PHASE, lambda environment, msg: RECORDER.begin(msg.data["phase"]))
    runner.register_message(rate.INTERVAL, lambda environment, msg: rate.share_among(msg.data["seconds"]))
    runner.register_message(CLOSE, lambda environment, msg: _answer_close(runner))
    # Quitting listeners fire in reverse: this one comes before Locust's, which tells the master we are gone.
    listen(runner.environment.events.quitting, lambda **_: _leave_in_order(runner))


def play(chosen: settings.Settings) -> None:
    """Have users play the scenario that was chosen, from their next start on."""
    ScenarioUser.scenario = chosen.scenario
    ScenarioUser.arrivals = chosen.arrivals
    ScenarioUser.interval = 0.0  # nobody plays now: any interval that is set is longer


def close() -> None:
    """End the phase, as of when the event loop last looked."""
    RECORDER.close(EVENT_LOOP.looked_at)
    ScenarioUser.flush()


def _watch_lag() -> None:
    """Note how late this process wakes up, until its event loop runs, which notes that itself."""
    while not EVENT_LOOP.looked_at:
        due = time.perf_counter_ns() + LAG_INTERVAL
        gevent.sleep(LAG_INTERVAL / 1e9)
        RECORDER.lagged((time.perf_counter_ns() - due) // 1000)


def _follow(environment: Environment, **_: object) -> None:
    """Play the scenario of the run that starts, count in its phase."""
    if isinstance(environment.runner, MasterRunner):
        return
    options = vars(environment.parsed_options)
    if PHASE in options:  # in a process that runs users alone, the master's part has yet to choose it
        RECORDER.begin(options[PHASE])
    play(settings.read({**options, **options.get(RUN, {})}))
    if rate.INTERVAL in options:
        rate.set_interval(options[rate.INTERVAL])


def _end(environment: Environment, **_: object) -> None:
    """Count what is open as unanswered: a run stops, and its users are about to."""
    if not isinstance(environment.runner, MasterRunner):
        close()


def _report(client_id: str, data: dict[str, Any], **_: object) -> None:
    data[REPORT] = RECORDER.report()
    data[compatibility.STAMP] = compatibility.stamp()


def _last_counts() -> dict[str, Any]:
    """Return what a CLOSED message holds."""
    return {**RECORDER.report(), compatibility.STAMP: compatibility.stamp()}


def _answer_close(runner: WorkerRunner) -> None:
    close()
    runner.send_message(CLOSED, _last_counts())


def _exit_status(runner: WorkerRunner) -> int:
    """Return the status to end with. Failed requests are in the master's: it tells of the run, as the result does."""
    if locust_internals.has_lost_its_master(runner):
        return 1  # Docker may start it again
    return 2 if locust_internals.has_unhandled_exception() else 0  # as Locust has it


def _leave_in_order(runner: WorkerRunner) -> None:
    """Stop the users, then send the last counts, while the master still knows this worker."""
    runner.environment.process_exit_code = _exit_status(runner)
    locust_internals.hear_no_more(runner)
    runner.stop()
    runner.send_message(CLOSED, _last_counts())
