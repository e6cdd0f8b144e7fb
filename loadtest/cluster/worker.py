"""
The part of every process that runs users: it follows the phase of the run, and reports its counts.

A single process is its own worker. With a master, a worker gets the phase from the options in Locust's spawn message,
and from a message (PHASE) when it changes during a run. It reports once a second in Locust's report_to_master, and once
more (CLOSED) when the window ends (CLOSE), so that the result holds all counts of all workers.
"""

import functools
import logging
import time
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
from loadtest.recording.recorder import LAG_INTERVAL

PHASE: Final = "tcplab_phase"
"""The option that carries a phase to the workers, and the message that changes it."""

RUN: Final = "tcplab_run"
"""The option with the options of the run's start: a worker that joins later uses these."""

REPORT: Final = "tcplab"
"""The key of Locust's report to the master under which a worker's counts stand."""

CLOSE: Final = "tcplab_close"
CLOSED: Final = "tcplab_closed"

logger = logging.getLogger(__name__)


def install() -> None:
    """Connect to Locust's events, before the init event: a worker's start message may come before that."""
    locust_internals.listen_from_the_start(compatibility.REFUSED, lambda data: _end_refused(data["version"]))
    locust_internals.wrap_stop_users(rate.stop_and_speed_up)
    events.test_start.add_listener(_follow)
    events.test_stopping.add_listener(_end)
    events.report_to_master.add_listener(_report)


@functools.cache  # the master refuses each message; only the first refusal counts
def _end_refused(version: str) -> None:
    """End a worker that a master of another version refuses, with a line that names both."""
    line = (
        f"tcplab: the master refused this worker: it has version {VERSION}, the master {version};"
        " bring both to the same commit (in Docker, build the images again)"
    )
    # In the main greenlet, which may be waiting for the master's answer.
    gevent.get_hub().handle_system_error(SystemExit, SystemExit(line))


def begin() -> None:
    """Start measuring this process's lag."""
    gevent.spawn(_watch_lag)


def obey(runner: WorkerRunner) -> None:
    """Follow the messages of the master that this worker has joined."""
    logger.info("%s%s:%s", settings.JOINED, runner.master_host, runner.master_port)
    runner.register_message(PHASE, lambda environment, msg: RECORDER.begin(msg.data["phase"]))
    runner.register_message(rate.INTERVAL, lambda environment, msg: rate.share_among(**msg.data))
    runner.register_message(CLOSE, lambda environment, msg: _answer_close(runner))
    # Quitting listeners fire in reverse: this one comes before Locust's, which signs off at the master.
    runner.environment.events.quitting.add_listener(lambda **_: _leave_in_order(runner))


def play(chosen: settings.Settings) -> None:
    """Set the scenario that users play from their next start on."""
    ScenarioUser.scenario = chosen.scenario
    ScenarioUser.arrivals = chosen.arrivals
    ScenarioUser.interval = 0.0  # no user plays now: any interval that is set is longer


def close() -> None:
    """End the phase at the event loop's last look."""
    RECORDER.close(EVENT_LOOP.looked_at)
    ScenarioUser.flush()


def _watch_lag() -> None:
    """Record how late this process wakes up, until its event loop runs and does that."""
    while not EVENT_LOOP.looked_at:
        due = time.perf_counter_ns() + LAG_INTERVAL
        gevent.sleep(LAG_INTERVAL / 1e9)
        RECORDER.lagged((time.perf_counter_ns() - due) // 1000)


def _follow(environment: Environment, **_: object) -> None:
    """Play the scenario of the run that starts, and count in its phase."""
    if isinstance(environment.runner, MasterRunner):
        return
    options = vars(environment.parsed_options)
    if PHASE in options:  # in a single process the master's part sets it later
        RECORDER.begin(options[PHASE])
    play(settings.read({**options, **options.get(RUN, {})}))
    if rate.INTERVAL in options:
        rate.set_interval(options[rate.INTERVAL])


def _end(environment: Environment, **_: object) -> None:
    """Count open requests as unanswered before the users stop."""
    if not isinstance(environment.runner, MasterRunner):
        close()


def _report(client_id: str, data: dict[str, Any], **_: object) -> None:
    data[REPORT] = RECORDER.report()
    data[compatibility.STAMP] = compatibility.stamp()


def _last_counts() -> dict[str, Any]:
    """Return the data of a CLOSED message."""
    return {**RECORDER.report(), compatibility.STAMP: compatibility.stamp()}


def _answer_close(runner: WorkerRunner) -> None:
    close()
    runner.send_message(CLOSED, _last_counts())


def _leave_in_order(runner: WorkerRunner) -> None:
    """Stop the users, then send the last counts, while the master still knows this worker."""
    # Failed requests are part of the master's exit status.
    runner.environment.process_exit_code = locust_internals.exit_status(runner)
    locust_internals.stop_listening(runner)
    runner.stop()
    runner.send_message(CLOSED, _last_counts())
