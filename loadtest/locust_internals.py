"""
Every use of Locust beyond its public API, with the version that it was written for and the reason.

Other modules use only Locust's documented classes, events and attributes (a test holds that:
tests/loadtest/cluster/test_locust_internals.py). After an update of Locust, read the code that each comment names.
"""

import functools
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any
from wsgiref.types import WSGIApplication

import locust.stats
from flask import Flask
from locust import LoadTestShape, argument_parser, log, runners
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.stats import StatsEntry
from locust.util.timespan import parse_timespan

# Every process


def adapt(version: str, bucket: Callable[[int], int]) -> None:
    """Change how every process works; bucket: rounds microseconds."""
    # Locust 2.47.0, runners.WorkerRunner.stats_reporter: it reports every 3 s without an option; live figures need 1 s.
    runners.WORKER_REPORT_INTERVAL = 1.0
    # Locust 2.47.0, runners.WorkerRunner.connect_to_master: a worker sends Locust's version; the lab's must match too.
    runners.__version__ = version  # type: ignore[attr-defined]
    # Locust 2.47.0, stats.bucket_response_time: it rounds to whole milliseconds, and most replies take less than one.
    locust.stats.bucket_response_time = lambda ms: bucket(round(ms * 1000)) / 1000  # type: ignore[assignment, return-value]
    # Locust 2.47.0, runners.WorkerRunner.handle_message: it parses these once per option at every step of a ramp, which
    # stops a worker's clients for 85 ms.
    argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
    # Locust 2.47.0, main.main: Ctrl-C while it waits for workers ends in a traceback.
    sys.excepthook = _print_unless_interrupted


def _print_unless_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# Locust 2.47.0, runners.Runner.stop_users: there is no event before users are stopped.
def wrap_stop_users(stop: Callable[[Runner, dict[str, int], Callable[[dict[str, int]], None]], None]) -> None:
    """Call `stop` instead of Locust's method, with the runner, the counts by class, and that method."""
    stop_users = Runner.stop_users

    def wrapper(self: Runner, user_classes_stop_count: dict[str, int]) -> None:
        stop(self, user_classes_stop_count, functools.partial(stop_users, self))

    Runner.stop_users = wrapper  # type: ignore[method-assign]


# Locust 2.47.0, runners.MasterRunner.spawning_completed and the counts by class: a master's own count lags behind.
def users_by_class(runner: Runner) -> Mapping[str, int]:
    """Return how many users there are, by their class's name."""
    if not isinstance(runner, MasterRunner):
        return runner.user_classes_count
    whole = runner.spawning_completed and runner.target_user_classes_count
    return whole or runner.reported_user_classes_count


# Locust 2.47.0, runners.Runner.update_state: it sets "running" for a run that was stopped, or lost its last worker,
# while users were spawned.
def call_it_stopped(runner: Runner) -> None:
    """Set the runner's state to stopped."""
    runner.update_state(runners.STATE_STOPPED)


# Locust 2.47.0, dispatch.UsersDispatcher.__next__: there is no event for a step of a ramp.
class ToldDispatcher(UsersDispatcher):
    """Locust's dispatcher; before each step it calls `told` with the number of users after it."""

    def __init__(self, told: Callable[[int], object], *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(*arguments, **more)
        self._told = told

    def __next__(self) -> dict[str, dict[str, int]]:
        """Return the users by class that each worker has from now on."""
        users = super().__next__()
        self._told(sum(sum(classes.values()) for classes in users.values()))
        return users


def tell_each_step(environment: Environment, told: Callable[[int], object]) -> None:
    """Call `told` with the number of users at each step in which Locust starts or stops some."""
    environment.dispatcher_class = functools.partial(ToldDispatcher, told)  # type: ignore[assignment]  # only called


# Statistics


# Locust 2.47.0, stats.StatsEntry: logging each request costs 2 us; a master adds up its workers by `extend`.
def add_to_statistics(
    environment: Environment, name: str, method: str, durations: Mapping[int, int], length: int
) -> None:
    """Add requests to Locust's statistics. durations: counts by microseconds; length: bytes of each reply."""
    entry = StatsEntry(None, name, method)  # type: ignore[arg-type]  # the statistics it isn't part of
    number = sum(durations.values())
    now = time.time()
    # In fractions of milliseconds: see `adapt`.
    entry.num_requests = number
    entry.total_response_time = sum(key * times for key, times in durations.items()) / 1000  # type: ignore[assignment]
    entry.min_response_time = min(durations) / 1000  # type: ignore[assignment]
    entry.max_response_time = max(durations) / 1000  # type: ignore[assignment]
    entry.response_times = {key / 1000: times for key, times in durations.items()}  # type: ignore[misc]
    entry.num_reqs_per_sec = {int(now): number}
    entry.last_request_timestamp = now
    entry.total_content_length = number * length
    environment.stats.get(name, method).extend(entry)
    environment.stats.total.extend(entry)


# Locust 2.47.0, stats.StatsEntry.serialize and StatsError.serialize: they file requests under the second of the
# worker's wall clock; if that is an hour off, Locust's page and summary divide by that hour.
def move_times(report: dict[str, Any], seconds: int) -> None:
    """Shift the times in a worker's report to Locust's statistics by whole seconds."""
    if not seconds:
        return
    for entry in (*report["stats"], report["stats_total"]):
        for key in ("start_time", "last_request_timestamp"):
            if entry[key] is not None:
                entry[key] += seconds
        for key in ("num_reqs_per_sec", "num_fail_per_sec"):
            entry[key] = {second + seconds: number for second, number in entry[key].items()}
    for error in report["errors"].values():
        for key in ("first_seen", "last_seen"):
            if error.get(key) is not None:
                error[key] += seconds


# Locust 2.47.0, runners.Runner.shape_worker and web.WebUI.swarm: a form without a shape takes the shape away that runs,
# which stops the run that the form has just changed.
def runs_shape(runner: Runner | None) -> bool:
    """Whether a shape sets the number of users."""
    return runner is not None and runner.shape_greenlet is not None


def replace_shape(runner: Runner, shape: LoadTestShape) -> None:
    """Let the run go on with another shape, whose users there are already."""
    runner.environment.shape_class = shape
    runner.shape_last_tick = shape.tick()


# The web page


# Locust 2.47.0, argument_parser.ui_extra_args_dict: the form accepts any option by its name.
def form_fields() -> Mapping[str, object]:
    """Return the lab's own options in the page's form, by name."""
    return argument_parser.ui_extra_args_dict()


# Locust 2.47.0, web.WebUI.swarm: it reads the form's run time so.
def seconds_of(run_time: str) -> int:
    """Return the seconds of a run time such as "1m30s"; ValueError if it is none."""
    return parse_timespan(run_time)


# Locust 2.47.0, web.WebUI.app: it has no option for middleware; Flask's own way is to replace `wsgi_app`.
def wrap_page(app: Flask, wrap: Callable[[WSGIApplication], WSGIApplication]) -> None:
    """Wrap the page's WSGI application."""
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign, assignment]


# A master and its workers


# Locust 2.47.0, runners.MasterRunner.handle_message: no event fires before it handles a message.
def filter_messages(admits: Callable[[str, str, Any], bool], refusal: str, data: Mapping[str, Any]) -> None:
    """Make a master handle only messages (worker, kind, data) that `admits` accepts, and answer others by `refusal`."""
    take = MasterRunner.handle_message

    def take_if_admitted(self: MasterRunner, client_id: str, msg: Message) -> None:
        if admits(client_id, msg.type, msg.data):
            take(self, client_id, msg)
        else:
            self.server.send_to_client(Message(refusal, dict(data), client_id))

    MasterRunner.handle_message = take_if_admitted  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.handle_message: messages come before a listener can be registered.
def listen_from_the_start(kind: str, handler: Callable[[Mapping[str, Any]], object]) -> None:
    """Call `handler` in a worker with the data of every message of this kind."""
    take = WorkerRunner.handle_message

    def handle(self: WorkerRunner, msg: Message) -> None:
        if msg.type == kind:
            handler(msg.data)
        else:
            take(self, msg)

    WorkerRunner.handle_message = handle  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.connect_to_master: while it waits, a worker ignores SIGTERM, and treats Ctrl-C as
# a failure.
def wrap_connect(connect: Callable[[Callable[[], object]], None]) -> None:
    """Call `connect` instead of a worker's method, with that method."""
    connect_to_master = WorkerRunner.connect_to_master

    def wrapper(self: WorkerRunner) -> None:
        again = functools.partial(connect_to_master, self)
        if self.retry:  # it calls itself to try again
            again()
        else:
            connect(again)

    WorkerRunner.connect_to_master = wrapper  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.greenlet: if two workers leave at once, the master moves the first one's users to
# the second, whose requests would come after its last counts.
def stop_listening(worker: WorkerRunner) -> None:
    """Make a worker ignore further messages from its master."""
    worker.greenlet.kill(block=True)


# Locust 2.47.0, runners.WorkerRunner.heartbeat_timeout_checker: without its master it quits with status 0.
# Locust 2.47.0, log.unhandled_greenlet_exception: if an exception has ended a greenlet, main.main exits with status 2.
def exit_status(worker: WorkerRunner) -> int:
    """Return a worker's exit status: 1 if it has given up its master, so that Docker may start it again."""
    heard = worker.last_heartbeat_timestamp
    if heard is not None and time.time() - heard > runners.MASTER_HEARTBEAT_TIMEOUT:
        return 1
    return 2 if log.unhandled_greenlet_exception else 0


# Locust 2.47.0, runners.MasterRunner.clients.
def workers_there(master: MasterRunner) -> set[str]:
    """Return the ids of the workers that are not missing."""
    clients = master.clients
    return {client.id for client in clients.ready + clients.spawning + clients.running}


def knows(master: MasterRunner, worker: str) -> bool:
    """Whether a worker has joined this master, which has not given it up since."""
    return worker in master.clients


# Locust 2.47.0, runners.MasterRunner.worker_indexes: get_worker_index would create one for a worker that has none.
def worker_indexes(master: MasterRunner) -> Mapping[str, int]:
    """Return the workers' indexes by their ids; no index is used twice."""
    return master.worker_indexes


def has_idle_worker(master: MasterRunner) -> bool:
    """Whether a worker is ready and has no users."""
    return bool(master.clients.ready)


# Locust 2.47.0, runners.MasterRunner.handle_message and WorkerRunner.handle_message ("stop"): a master ignores an
# unknown worker until the worker ends, after 60 s without a heartbeat; on "stop" a worker reports as ready.
def ask_to_report_ready(master: MasterRunner, worker: str) -> None:
    """Make a worker stop its users and report as ready."""
    master.send_message("stop", client_id=worker)


# Locust 2.47.0, runners.MasterRunner.heartbeat_worker: it drops missing workers only after another minute, and then
# restarts all users from zero.
def drop_missing_workers(master: MasterRunner) -> None:
    """Drop the missing workers, whose users Locust has already moved to the others."""
    if master.spawning_completed:  # else Locust may be iterating over the workers
        for client in master.clients.missing:
            del master.clients[client.id]


# Locust 2.47.0, runners.MasterRunner.start: while it distributes users and waits for them, it overlooks that workers
# have left; a worker that comes then stays without users to the end of the run.
def has_overlooked_workers(master: MasterRunner) -> bool:
    """Whether distribution is complete, but the number of users is wrong or a worker has none."""
    settled = master.state == runners.STATE_RUNNING and master.spawning_completed
    return settled and (master.user_count != master.target_user_count or has_idle_worker(master))
