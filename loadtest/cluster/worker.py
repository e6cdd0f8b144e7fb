"""
What every process that runs users does: it follows the phase of the run, and gives away what it counts.

Alone, it is its own worker. With a master, it learns the phase from Locust's own spawn message, which carries the
options, or by a message when that changes in the middle of a run; it reports once a second in Locust's
report_to_master, and when the window ends (CLOSE) at once (CLOSED), so that the result holds all counts of all workers.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import gevent
from locust import events, log, runners
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import MASTER_HEARTBEAT_TIMEOUT, MasterRunner, Runner, WorkerRunner

from loadtest import settings
from loadtest.client.event_loop import EVENT_LOOP
from loadtest.client.recorded_user import RECORDER
from loadtest.client.scenario_user import ScenarioUser
from loadtest.cluster import gate
from loadtest.cluster.version import VERSION
from loadtest.recording.recorder import LAG_INTERVAL

PHASE: Final = "tcplab_phase"
"""The name of the option that carries a phase to the workers, and of the message that changes it."""

INTERVAL: Final = "tcplab_interval"
"""The same for the seconds between two requests of one client, in the open model; 0 in the closed one."""

RUN: Final = "tcplab_run"
"""The same for the options with which the run began: whoever joins it later takes these, whatever was changed since."""

CLOSE: Final = "tcplab_close"
CLOSED: Final = "tcplab_closed"

STOPPING: Final = 10
"""Users stopped at a time, in the open model: while Locust stops some, the loop doesn't run, and requests fall due."""

STOPPING_INTERVAL: Final = 0.002
"""Seconds in which the event loop runs between them."""


logger = logging.getLogger(__name__)


class _Hook(Protocol):
    """One of Locust's events, which have no types of their own."""

    def add_listener(self, handler: Callable[..., object]) -> object:
        """Have `handler` called when it is fired."""


def listen(hook: _Hook, handler: Callable[..., object]) -> None:
    """Have `handler` called when `hook` is fired."""
    hook.add_listener(handler)


def install() -> None:
    """Connect to Locust's events. A worker may be told to start before its init event has fired: this comes before."""
    runners.__version__ = VERSION  # type: ignore[attr-defined]  # what a worker says when it is ready
    _leave_if_refused()
    _speed_up_with_stops()
    listen(events.test_start, _follow)
    listen(events.test_stopping, _end)
    listen(events.report_to_master, _report)


def _leave_if_refused() -> None:
    """Obey the master's refusal, which comes before Locust knows of any message of ours: its handler is wrapped."""
    obey_other = WorkerRunner.handle_message
    refused = False

    def handle(self: WorkerRunner, msg: Message) -> None:
        nonlocal refused
        if msg.type != gate.REFUSED:
            obey_other(self, msg)
            return
        # Each message of ours is refused, also while this process already ends.
        if refused:
            return
        refused = True
        line = (
            f"tcplab: the master refused this worker: it is of version {VERSION}, the master of {msg.data['version']};"
            " bring both to the same commit (in Docker, build the images again)"
        )
        # In the main greenlet, which may still wait for the master's answer.
        gevent.get_hub().handle_system_error(SystemExit, SystemExit(line))

    WorkerRunner.handle_message = handle  # type: ignore[method-assign]


def _speed_up_with_stops() -> None:
    """Keep what `share_among` promises. Locust has no event for this: its method is wrapped."""
    stop_users = Runner.stop_users

    def stop_and_speed_up(self: Runner, user_classes_stop_count: dict[str, int]) -> None:
        staying = self.user_count - sum(user_classes_stop_count.values())
        # With a time to end in, each part would take it anew.
        if not _PACE.shorter or staying <= 0 or self.environment.stop_timeout:
            stop_users(self, user_classes_stop_count)
        else:
            for part in parts(user_classes_stop_count):
                stop_users(self, part)
                seconds = _PACE.shorter * self.user_count / staying
                if _PACE.shorter < seconds < ScenarioUser.interval:
                    _retune(seconds)
                gevent.sleep(STOPPING_INTERVAL)
        if _PACE.shorter:
            set_interval(_PACE.shorter)

    Runner.stop_users = stop_and_speed_up  # type: ignore[method-assign]


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


def begin() -> None:
    """Begin to watch this process itself."""
    gevent.spawn(_watch_lag)


def obey(runner: WorkerRunner) -> None:
    """Do what the master says, which has let this worker in."""
    logger.info("%s%s:%s", gate.JOINED, runner.master_host, runner.master_port)
    runner.register_message(PHASE, lambda environment, msg: RECORDER.begin(msg.data["phase"]))
    runner.register_message(INTERVAL, lambda environment, msg: share_among(msg.data["seconds"]))
    runner.register_message(CLOSE, lambda environment, msg: _answer_close(runner))
    # Quitting listeners fire in reverse: this one comes before Locust's, which tells the master we are gone.
    listen(runner.environment.events.quitting, lambda **_: _leave_in_order(runner))


def play(chosen: settings.Settings) -> None:
    """Have users play the scenario that was chosen, from their next start on."""
    ScenarioUser.scenario = chosen.scenario
    ScenarioUser.interval = 0.0  # nobody plays now: whatever comes is longer


class _Pace:
    """shorter: the interval to set once surplus users are gone; 0 without one."""

    shorter = 0.0


_PACE: Final = _Pace()


def share_among(seconds: float) -> None:
    """
    Have the rate shared among more users, or fewer, by an interval that goes with them.

    A longer one holds at once, a shorter one as the users go whose share it hands on: there is no burst, and no gap.
    """
    if seconds < ScenarioUser.interval:
        _PACE.shorter = seconds
    else:
        set_interval(seconds)


def set_interval(seconds: float) -> None:
    """Have each client's requests fall due so far apart; 0 in the closed model."""
    _PACE.shorter = 0.0
    if seconds and seconds != ScenarioUser.interval:
        _retune(seconds)


def _retune(seconds: float) -> None:
    ScenarioUser.interval = seconds
    RECORDER.retune(int(seconds * 1e9))


def close() -> None:
    """End the phase, as of when the event loop last looked."""
    RECORDER.close(EVENT_LOOP.looked_at)
    ScenarioUser.flush()


def _watch_lag() -> None:
    """Note how late this process's loop wakes up, until there is an engine, which has a loop of its own."""
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
    if INTERVAL in options:
        set_interval(options[INTERVAL])


def _end(environment: Environment, **_: object) -> None:
    """Count what is open as unanswered: a run stops, and its users are about to."""
    if not isinstance(environment.runner, MasterRunner):
        close()


def _report(client_id: str, data: dict[str, Any], **_: object) -> None:
    data["tcplab"] = RECORDER.report()
    data[gate.STAMP] = gate.stamp()


def _last_counts() -> dict[str, Any]:
    """Return what a CLOSED message holds."""
    return {**RECORDER.report(), gate.STAMP: gate.stamp()}


def _answer_close(runner: WorkerRunner) -> None:
    close()
    runner.send_message(CLOSED, _last_counts())


def _exit_status(runner: WorkerRunner) -> int:
    """Return the status to end with. Failed requests are in the master's: it tells of the run, as the result does."""
    if runner.last_heartbeat_timestamp and time.time() - runner.last_heartbeat_timestamp > MASTER_HEARTBEAT_TIMEOUT:
        return 1  # for want of a master: Docker may start it again
    return 2 if log.unhandled_greenlet_exception else 0  # as Locust has it


def _leave_in_order(runner: WorkerRunner) -> None:
    """Stop the users, then send the last counts, while the master still knows this worker."""
    runner.environment.process_exit_code = _exit_status(runner)
    # Listen to the master no more: of two workers that leave at once, it gives the users of the first to the second,
    # whose requests would then come after the last counts.
    runner.greenlet.kill(block=True)
    runner.stop()
    runner.send_message(CLOSED, _last_counts())
