"""
Every reach into Locust beyond its public API, with the version that it was written for and the reason.

Other modules use Locust's documented classes, events and attributes only (tests/loadtest/cluster/
test_locust_internals.py). When loadtest/requirements.lock names another version, read the code that each comment names.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol

import locust.stats
from flask import Flask
from locust import argument_parser, log, runners
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.stats import StatsEntry

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application."""


class Hook(Protocol):
    """One of Locust's events."""

    def add_listener(self, handler: Callable[..., object]) -> object:
        """Have `handler` called when it is fired."""


# Locust 2.47.0, event.EventHook: public, but without types.
def listen(hook: Hook, handler: Callable[..., object]) -> None:
    """Have `handler` called when `hook` is fired."""
    hook.add_listener(handler)


# Every process


# Locust 2.47.0, runners.WorkerRunner.stats_reporter: every 3 s, and no option sets it; live figures need each second.
def report_each_second() -> None:
    """Have workers report once a second."""
    runners.WORKER_REPORT_INTERVAL = 1.0


# Locust 2.47.0, runners.WorkerRunner.connect_to_master: a worker says Locust's version; the lab's must be equal too.
def say_version(version: str) -> None:
    """Have a worker say `version` when it is ready."""
    runners.__version__ = version  # type: ignore[attr-defined]


# Locust 2.47.0, stats.bucket_response_time: it rounds to whole milliseconds, and most replies take less than one.
def round_response_times(bucket: Callable[[int], int]) -> None:
    """Have Locust's statistics round as `bucket` rounds microseconds."""

    def bucket_milliseconds(response_time: float) -> float:
        return bucket(round(response_time * 1000)) / 1000

    locust.stats.bucket_response_time = bucket_milliseconds  # type: ignore[assignment]  # keys may be floats


# Locust 2.47.0, runners.WorkerRunner.handle_message: it parses these once per option at every step of a ramp; for 85 ms
# none of a worker's clients gets a turn.
def remember_default_options() -> None:
    """Have Locust compute its default options once."""
    argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)


# Locust 2.47.0, main.main: Ctrl-C while it waits for workers ends in a traceback.
def hide_interrupt_traceback() -> None:
    """Have Ctrl-C end the process without a traceback."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


# Locust 2.47.0, runners.Runner.stop_users: there is no event before users are stopped.
def wrap_stop_users(stop: Callable[[Runner, dict[str, int], Callable[[dict[str, int]], None]], None]) -> None:
    """Have `stop` called in place of Locust's method, with the runner, the counts by class, and that method."""
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


# Locust 2.47.0, runners.Runner.update_state: it calls a run running that was stopped, or lost its last worker, while
# users were spawned.
def call_it_stopped(runner: Runner) -> None:
    """Set the runner's state to stopped."""
    runner.update_state(runners.STATE_STOPPED)


# Locust 2.47.0, dispatch.UsersDispatcher.__next__: there is no event for a step of a ramp.
class ToldDispatcher(UsersDispatcher):
    """Locust's own dispatcher; at each step `told` is called first, with the number of users after it."""

    def __init__(self, told: Callable[[int], object], *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(*arguments, **more)
        self._told = told

    def __next__(self) -> dict[str, dict[str, int]]:
        """Return the users of each class that each worker is to have from now on."""
        users = super().__next__()
        self._told(sum(sum(classes.values()) for classes in users.values()))
        return users


def tell_each_step(environment: Environment, told: Callable[[int], object]) -> None:
    """Have `told` called with the number of users at each step in which Locust starts or stops some."""
    environment.dispatcher_class = functools.partial(ToldDispatcher, told)  # type: ignore[assignment]  # only called


# Locust 2.47.0, log.unhandled_greenlet_exception: what main.main takes for an exit status of 2.
def has_unhandled_exception() -> bool:
    """Whether an exception has ended one of Locust's greenlets."""
    return log.unhandled_greenlet_exception


# Statistics


# Locust 2.47.0, stats.StatsEntry: to log each request costs 2 us; `extend` is how a master adds up its workers.
def add_to_statistics(
    environment: Environment, name: str, method: str, durations: Mapping[int, int], length: int
) -> None:
    """Add requests to Locust's statistics: how many took how many microseconds; each reply was `length` bytes long."""
    entry = StatsEntry(None, name, method)  # type: ignore[arg-type]  # the statistics it isn't part of
    number = sum(durations.values())
    now = time.time()
    # In milliseconds, which may be fractions of one: see round_response_times.
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


# Locust 2.47.0, stats.StatsEntry.serialize and StatsError.serialize: requests are filed under the second of the
# worker's wall clock; where that is an hour off, Locust's page and summary would divide by that hour.
def move_times(report: dict[str, Any], seconds: int) -> None:
    """Move the times in a worker's report to Locust's statistics by so many seconds."""
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


# The web page


# Locust 2.47.0, argument_parser.ui_extra_args_dict: the form would take any option by its name.
def form_fields() -> Mapping[str, object]:
    """Return the lab's own options in the page's form, by their names."""
    return argument_parser.ui_extra_args_dict()


# Locust 2.47.0, web.WebUI.app: no option puts a layer before it; Flask's own way is to replace `wsgi_app`.
def wrap_page(app: Flask, wrap: Callable[[Application], Application]) -> None:
    """Have the page answered by what `wrap` returns for it."""
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign, assignment]


# A master and its workers


# Locust 2.47.0, runners.MasterRunner.handle_message: no event is fired before a message is taken.
def filter_messages(admits: Callable[[str, str, Any], bool], refusal: str, data: Mapping[str, Any]) -> None:
    """Have a master take the messages (worker, kind, data) that `admits` lets in, and answer others by `refusal`."""
    take = MasterRunner.handle_message

    def take_if_admitted(self: MasterRunner, client_id: str, msg: Message) -> None:
        if admits(client_id, msg.type, msg.data):
            take(self, client_id, msg)
        else:
            self.server.send_to_client(Message(refusal, dict(data), client_id))  # type: ignore[no-untyped-call]

    MasterRunner.handle_message = take_if_admitted  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.handle_message: messages come before a listener can be registered for them.
def hear_from_the_start(kind: str, told: Callable[[Mapping[str, Any]], object]) -> None:
    """Have `told` called in a worker with the data of every message of this kind."""
    take = WorkerRunner.handle_message

    def handle(self: WorkerRunner, msg: Message) -> None:
        if msg.type == kind:
            told(msg.data)
        else:
            take(self, msg)

    WorkerRunner.handle_message = handle  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.connect_to_master: a worker that waits in it hears no SIGTERM, and takes Ctrl-C
# for a failure.
def wrap_connect(connect: Callable[[Callable[[], object]], None]) -> None:
    """Have `connect` called in place of a worker's method, with that method."""
    connect_to_master = WorkerRunner.connect_to_master

    def wrapper(self: WorkerRunner) -> None:
        again = functools.partial(connect_to_master, self)
        if self.retry:  # called by itself, again
            again()
        else:
            connect(again)

    WorkerRunner.connect_to_master = wrapper  # type: ignore[method-assign]


# Locust 2.47.0, runners.WorkerRunner.greenlet: of two workers that leave at once, the master gives the users of the
# first to the second, whose requests would come after its last counts.
def hear_no_more(worker: WorkerRunner) -> None:
    """Have a worker take no more messages from its master."""
    worker.greenlet.kill(block=True)


# Locust 2.47.0, runners.WorkerRunner.heartbeat_timeout_checker: it quits with status 0.
def has_lost_its_master(worker: WorkerRunner) -> bool:
    """Whether a worker's master has been silent for so long that the worker gives it up."""
    heard = worker.last_heartbeat_timestamp
    return heard is not None and time.time() - heard > runners.MASTER_HEARTBEAT_TIMEOUT


# Locust 2.47.0, runners.MasterRunner.clients.
def workers_there(master: MasterRunner) -> set[str]:
    """Return the ids of the workers that are not missing."""
    clients = master.clients
    return {client.id for client in clients.ready + clients.spawning + clients.running}


def knows(master: MasterRunner, worker: str) -> bool:
    """Whether a worker has reported as ready to this master, which has not given it up since."""
    return worker in master.clients


# Locust 2.47.0, runners.MasterRunner.worker_indexes: get_worker_index would give one to a worker that has none.
def worker_indexes(master: MasterRunner) -> Mapping[str, int]:
    """Return the workers' indexes by their ids; no index is given twice."""
    return master.worker_indexes


def has_idle_worker(master: MasterRunner) -> bool:
    """Whether a worker is ready and has no users."""
    return bool(master.clients.ready)


# Locust 2.47.0, runners.MasterRunner.handle_message and WorkerRunner.handle_message ("stop"): a master ignores an
# unknown worker until that ends, after 60 s without a heartbeat; on "stop" it reports as ready.
def ask_to_report_ready(master: MasterRunner, worker: str) -> None:
    """Have a worker stop its users, and report as ready."""
    master.send_message("stop", client_id=worker)


# Locust 2.47.0, runners.MasterRunner.heartbeat_worker: it would drop missing workers after another minute, and then
# start all users anew, from zero.
def drop_missing_workers(master: MasterRunner) -> None:
    """Drop the workers that are gone, whose users Locust has already moved to the others."""
    if master.spawning_completed:  # else Locust may be walking over the workers
        for client in master.clients.missing:
            del master.clients[client.id]


# Locust 2.47.0, runners.MasterRunner.start: while it gives users out, and waits for them to be there, it overlooks that
# workers have left; and one that comes then would stay without users, ready, to the end of the run.
def has_overlooked_workers(master: MasterRunner) -> bool:
    """Whether the users are given out, and are not as many as they ought to be, or a worker has none."""
    settled = master.state == runners.STATE_RUNNING and master.spawning_completed
    return settled and (master.user_count != master.target_user_count or has_idle_worker(master))
