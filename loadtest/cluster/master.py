"""
Ties the lab's recording to Locust's events: which phase runs, what workers report, what a run's end brings.

A run has phases, each with a number that no other phase has (the microsecond it began): the warm-up, if there is one,
and the window that is measured. The master (or the only process) says which runs; worker.py has the other side.
"""

import functools
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import gevent
import locust.stats
from flask import Response, jsonify, request
from gevent.pywsgi import WSGIServer
from locust import argument_parser, events, runners
from locust.env import Environment
from locust.rpc.protocol import Message
from locust.runners import (
    STATE_RUNNING,
    STATE_STOPPED,
    MasterRunner,
    Runner,
    WorkerRunner,
)
from locust.web import WebUI

from loadtest import run_warnings, settings
from loadtest.client.greenlets import run_for_ever
from loadtest.client.recorded_user import RECORDER
from loadtest.cluster import dispatching, exporter, gate, leaving, shaping, web_forms, web_guard, worker
from loadtest.cluster.version import VERSION
from loadtest.cluster.worker import CLOSE, CLOSED, INTERVAL, PHASE, RUN, listen
from loadtest.recording import result
from loadtest.recording.aggregator import Aggregator
from loadtest.recording.counters import Counters, strain
from loadtest.recording.histogram import bucket
from servers.variants import VARIANTS

PATIENCE: Final = 2.0
"""Seconds to wait for the workers' last counts."""

JOINED_SECONDS: Final = 30.0
"""For so long is a worker that has joined a run a doubt about its live figures."""

SHORT_SECONDS: Final = 3
"""For so long may workers have other than the users they ought to have, or none, before these are given out again."""

REJOIN_SECONDS: Final = 10.0
"""Seconds between two requests to the same unknown worker to report as ready."""

SPAWN_SECONDS: Final = 5
"""The default spawn rate starts all users within this time."""

logger = logging.getLogger(__name__)
_terminal = logging.getLogger("locust.stats_logger")


def install() -> None:
    """Connect to Locust's events; once, in a locustfile."""
    sys.excepthook = _quiet_excepthook
    leaving.install()
    runners.WORKER_REPORT_INTERVAL = 1.0
    locust.stats.bucket_response_time = _bucket_milliseconds  # type: ignore[assignment]  # keys may be floats
    # A worker asks for these once per option at every step of a ramp: 85 ms in which none of its clients gets a turn.
    argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
    listen(events.init_command_line_parser, settings.add_options)
    listen(events.init, _on_init)
    _guard_the_master()
    worker.install()


def _guard_the_master() -> None:
    """Take messages of workers of this version alone. Locust has no event for this: its handler is wrapped."""
    guard, take = gate.Gate(), MasterRunner.handle_message

    def take_if_admitted(self: MasterRunner, client_id: str, msg: Message) -> None:
        if guard.admits(client_id, msg.type, msg.data):
            take(self, client_id, msg)
        else:
            self.server.send_to_client(Message(gate.REFUSED, {"version": VERSION}, client_id))  # type: ignore[no-untyped-call]

    MasterRunner.handle_message = take_if_admitted  # type: ignore[method-assign]


def _bucket_milliseconds(response_time: float) -> float:
    """Round Locust's milliseconds to three significant figures of microseconds, not to whole milliseconds."""
    return bucket(round(response_time * 1000)) / 1000


def _quiet_excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while Locust is still waiting for workers: it has nothing to tell."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def _on_init(environment: Environment, runner: Runner, web_ui: WebUI | None, **_: object) -> None:
    if not isinstance(runner, MasterRunner):
        worker.begin()
    if isinstance(runner, WorkerRunner):
        worker.obey(runner)
    else:
        Master(environment, runner, web_ui)
    leaving.shut_down_once(environment)


class Master:
    """The master's part, or that of the only process there is."""

    def __init__(self, environment: Environment, runner: Runner, web_ui: WebUI | None) -> None:
        self._environment = environment
        self._runner = runner
        self._master = runner if isinstance(runner, MasterRunner) else None
        self._options = vars(environment.parsed_options)
        self._aggregator = Aggregator([variant.name for variant in VARIANTS])
        self._settings = self._read_settings()
        self._started: float | None = None
        self._closed: set[str] = set()
        self._warmup: gevent.Greenlet | None = None
        self._resume: tuple[int, float] | None = None
        self._short = 0
        self._asked: dict[str, float] = {}
        self._doubts: list[run_warnings.Doubt] = []
        # Given back to write the result with: a run may end because there was no descriptor left.
        self._spare = Path(os.devnull).open()  # noqa: SIM115 - it is kept
        self._refuse_host()
        self._options["enable_rebalancing"] = True  # else Locust ignores workers that join during a run
        self._default_users()
        shaping.offer(environment, None if self._options["shape"] == "none" else self._options["shape"])
        self._serve_metrics()
        dispatching.tell(environment, self._pace)
        listen(environment.events.test_start, self._start)
        listen(environment.events.test_stopping, self._finish)
        # Before Locust chooses its exit status: that the result could not be written is part of it.
        listen(environment.events.quitting, self._finish)
        listen(environment.events.spawning_complete, self._correct_state)
        listen(environment.events.worker_report, self._take_report)
        if self._master is not None:
            self._master.register_message(CLOSED, lambda environment, msg: self._take_closed(msg.node_id, msg.data))
        if web_ui and web_ui.app:
            own = web_guard.own_names(web_ui.host, self._options["web_hosts"])
            web_ui.app.wsgi_app = web_guard.Guard(web_ui.app.wsgi_app, own)  # type: ignore[method-assign]
            web_ui.app.before_request(self._check_form)
            web_ui.app.after_request(self._forget_host)
        run_for_ever(self._look_around)

    @property
    def _running(self) -> bool:
        return self._started is not None

    # Starting

    def _read_settings(self) -> settings.Settings:
        try:
            return settings.read(self._options)
        except ValueError as error:
            sys.exit(f"tcplab: {error}")

    def _refuse_host(self) -> None:
        if self._environment.host:
            names = ", ".join(f"TCPLAB_{variant.name.upper()}" for variant in VARIANTS)
            sys.exit(f"tcplab: --host would send every variant's clients to one server; set {names} (host:port)")

    def _default_users(self) -> None:
        """So many clients for each variant, unless -u says how many in all."""
        options = self._options
        if options["shape"] != "none" and options["num_users"] is not None:
            sys.exit("tcplab: a shape says how many clients there are: give it --clients in place of --users")
        if (options["num_users"] or 0) < 0:
            sys.exit(f"tcplab: {options['num_users']} users are too few; give -u a number from 0")
        for name, option in (("num_users", "-u"), ("spawn_rate", "-r")):
            if (options[name] or 0) > settings.MAX_USERS:
                sys.exit(f"tcplab: {option} {options[name]:.0f} is too many; give at most {settings.MAX_USERS}")
        if options["num_users"] is None:
            options["num_users"] = options["clients"] * len(self._environment.user_classes)
        if options["spawn_rate"] is None:
            options["spawn_rate"] = min(100.0, max(1.0, options["num_users"] / SPAWN_SECONDS))

    def _serve_metrics(self) -> None:
        collector = exporter.LoadCollector(self._aggregator, self._status, time.monotonic)
        host, port = self._options["exporter_host"], self._options["exporter_port"]
        server = WSGIServer((host, port), exporter.application(collector), log=None, error_log=None)
        try:
            server.start()
        except socket.gaierror as error:
            sys.exit(
                f"tcplab: cannot serve the load's metrics on {host}:{port}: {error.strerror}."
                " Choose another --exporter-host"
            )
        except OSError as error:
            sys.exit(
                f"tcplab: cannot serve the load's metrics on {host}:{port}: {os.strerror(error.errno or 0)}."
                " Is another load running? Choose another --exporter-port (0: any that is free)"
            )
        logger.info("The load's metrics are at http://%s:%d/metrics", host, server.server_port)

    def _check_form(self) -> Response | None:
        """Look at what the web UI asks for: refuse a form with a bad value; a stop is meant to last."""
        route = (request.endpoint or "").rpartition(".")[2]
        if route == "stop":
            self._resume = None
        elif route == "update_user":
            return self._refuse_if(web_forms.of_users(request.get_data(), self._hosts()), HTTPStatus.BAD_REQUEST)
        elif route == "swarm":
            shown = {self._environment.host or "", *self._hosts().values()}
            wrong = web_forms.of_a_run(request.form, argument_parser.ui_extra_args_dict(), shown)
            return self._refuse_if(wrong, HTTPStatus.BAD_REQUEST) or self._refuse_if(self._wrong_settings())
        return None

    def _hosts(self) -> dict[str, str]:
        """Return where the users of each class go, by the class's name."""
        classes = self._environment.available_user_classes or self._environment.user_classes_by_name
        return {name: each.host or "" for name, each in classes.items()}

    def _wrong_settings(self) -> str | None:
        """Return what is wrong with the lab's own settings in the form."""
        try:
            settings.read({**self._options, **request.form})
        except ValueError as error:
            return str(error)
        return None

    def _refuse_if(self, wrong: str | None, status: HTTPStatus = HTTPStatus.OK) -> Response | None:
        """Say what is wrong, if anything is; the page shows it only where the status is 200."""
        if wrong is None:
            return None
        answer = jsonify({"success": False, "message": f"tcplab: {wrong}", "host": self._environment.host})
        answer.status_code = status
        return answer

    def _forget_host(self, answer: Response) -> Response:
        """Forget the host that the form has, though it is one of ours: all classes' users would go there."""
        self._environment.host = None
        return answer

    def _start(self, **_: object) -> None:
        """Begin a run."""
        self._settings = settings.read(self._options)
        self._started = time.time()
        self._resume = None
        self._options.pop(INTERVAL, None)
        self._options[RUN] = {name: self._options[name] for name in settings.OF_A_RUN}
        worker.play(self._settings)
        self._begin_phase()
        if self._settings.warmup:
            self._warmup = gevent.spawn_later(self._settings.warmup, self._begin_phase)

    def _begin_phase(self) -> None:
        phase = time.time_ns() // 1000
        self._options[PHASE] = phase
        self._aggregator.begin(phase, time.monotonic(), time.time())
        if self._master is not None:
            self._master.send_message(PHASE, {"phase": phase})
        else:
            RECORDER.begin(phase)

    def _pace(self, users: int) -> None:
        """Spread the rate over the users that there are from this step on: it is the same while they come and go."""
        rate = self._settings.rate
        seconds = users / rate if rate else 0.0
        if seconds == self._options.get(INTERVAL) or (rate and not users):
            return
        self._options[INTERVAL] = seconds
        if self._master is not None:
            self._master.send_message(INTERVAL, {"seconds": seconds})
        else:
            worker.share_among(seconds)

    def _correct_state(self, **_: object) -> None:
        """Undo that Locust calls a run running that was stopped, or lost its last worker, while users were spawned."""
        if not self._running:
            self._runner.update_state(STATE_STOPPED)

    # Running

    def _look_around(self) -> None:
        """Once a second, for ever: who is there, what has been counted."""
        while True:
            gevent.sleep(1)
            now = time.monotonic()
            if self._master is None:
                self._aggregator.take("local", RECORDER.report(), now)
                continue
            clients = self._master.clients
            self._aggregator.see({client.id for client in clients.ready + clients.spawning + clients.running}, now)
            self._forget_missing(self._master)
            self._restore_users(self._master)
            if self._resume and clients.ready and not self._running:
                logger.info("A worker is back: starting the load again")
                users_and_rate, self._resume = self._resume, None
                if self._environment.shape_class is not None:
                    self._runner.start_shape()
                else:
                    gevent.spawn(self._runner.start, *users_and_rate)

    def _take_report(self, client_id: str, data: Mapping[str, Any], **_: object) -> None:
        """Add a worker's counts of the last second."""
        if "tcplab" in data:
            self._aggregator.take(client_id, data["tcplab"], time.monotonic())
        if self._master is not None and client_id not in self._master.clients:
            self._ask_to_rejoin(self._master, client_id)

    def _take_closed(self, client_id: str, report: Mapping[str, Any]) -> None:
        """Add a worker's last counts of the window."""
        self._aggregator.take(client_id, report, time.monotonic())
        self._closed.add(client_id)

    def _ask_to_rejoin(self, runner: MasterRunner, client_id: str) -> None:
        """
        Take in a worker that this master does not know: the master was started again, or had given it up.

        Locust itself would ignore it until it ends, after 60 s without a heartbeat. On "stop" it reports as ready.
        """
        now = time.monotonic()
        if now - self._asked.get(client_id, -REJOIN_SECONDS) >= REJOIN_SECONDS:
            self._asked[client_id] = now
            runner.send_message("stop", client_id=client_id)

    def _forget_missing(self, runner: MasterRunner) -> None:
        """
        Drop workers that are gone, whose users Locust has already moved to the others.

        Locust would drop them after another minute, and then start all users anew, from zero.
        """
        if runner.spawning_completed:  # else Locust may be walking over the workers
            for client in runner.clients.missing:
                del runner.clients[client.id]

    def _restore_users(self, runner: MasterRunner) -> None:
        """
        Give out the users again where Locust has overlooked that workers left, or came.

        While it gives users out, and waits for them to be there, it overlooks that others have left; and one that comes
        then would stay without users, ready, to the end of the run.
        """
        settled = self._running and runner.state == STATE_RUNNING and runner.spawning_completed
        overlooked = runner.user_count != runner.target_user_count or bool(runner.clients.ready)
        self._short = self._short + 1 if settled and overlooked else 0
        if self._short >= SHORT_SECONDS:
            self._short = 0
            gevent.spawn(runner.start, runner.target_user_count, runner.spawn_rate)

    # Ending

    def _finish(self, **_: object) -> None:
        """End a run, whose users are about to stop: collect the last counts, and say what it brought."""
        if not self._running:
            return
        self._started = None
        if self._warmup is not None:
            if not self._warmup.ready():
                self._warmup.kill(block=False)
                logger.warning("The run ended within its warm-up: its result is empty")
                self._begin_phase()
            self._warmup = None
        now, users = time.monotonic(), self._users()
        try:
            self._collect()
        finally:
            self._aggregator.end(now, users)
            self._tell_result()

    def _collect(self) -> None:
        """Get the counts up to the end from every worker that is there, with patience."""
        master = self._master
        if master is None:
            worker.close()
            self._aggregator.take("local", RECORDER.report(), time.monotonic())
            return
        clients = master.clients
        if master.worker_count == 0 and master.target_user_count:
            self._resume = (master.target_user_count, master.spawn_rate)
        self._closed.clear()
        master.send_message(CLOSE)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and any(
            client.id not in self._closed for client in clients.ready + clients.spawning + clients.running
        ):
            gevent.sleep(0.01)

    def _users(self) -> dict[str, int]:
        """Return the users by variant."""
        counts = self._runner.user_classes_count
        if self._master is not None:
            whole = self._master.spawning_completed and self._master.target_user_classes_count
            counts = whole or self._master.reported_user_classes_count
        labels = {cls.__name__: getattr(cls, "label", "") or cls.__name__ for cls in self._environment.user_classes}
        return {labels[name]: number for name, number in counts.items() if name in labels}

    def _tell_result(self) -> None:
        figures, chosen = self._aggregator.figures, self._settings
        if figures is None:
            return
        self._doubts = run_warnings.doubts(result.facts(figures, chosen))
        for line in result.lines(figures, self._doubts):
            _terminal.info(line)
        unanswered = {doubt.name for doubt in self._doubts} & {*run_warnings.UNANSWERED, "unconnected"}
        if unanswered and self._options["headless"]:
            self._environment.process_exit_code = self._options["exit_code_on_error"] or None
        if chosen.result is not None:
            self._spare.close()
            try:
                result.write(chosen.result, result.document(figures, chosen, self._doubts))
            except OSError as error:
                logger.error(  # noqa: TRY400 - a line says it, a traceback no more
                    "Cannot write the result to %s: %s. Make room there, or choose another --result",
                    chosen.result,
                    error.strerror,
                )
                self._environment.process_exit_code = 1

    # Telling

    def _status(self) -> exporter.Status:
        indexes = {"local": 0} if self._master is None else self._master.worker_indexes
        workers = {
            indexes[name]: worker
            for name, worker in self._aggregator.workers.items()
            if worker.present and name in indexes
        }
        doubts = self._live_doubts() if self._running else self._doubts
        rate = self._settings.rate or 0.0 if self._running else 0.0
        return exporter.Status(self._started, self._settings.scenario.name, rate, doubts, workers)

    def _live_doubts(self) -> list[run_warnings.Doubt]:
        """Return the doubts about the last seconds; what is lost stays lost until the run ends."""
        now = time.monotonic()
        figures = self._aggregator.figures
        efforts = [worker.recent_effort() for worker in self._aggregator.workers.values() if worker.present]
        recent = self._aggregator.recent(now)
        joined = figures.joined.values() if figures else ()
        return run_warnings.doubts(
            run_warnings.Facts(
                alone=self._settings.scenario.alone,
                stays=self._settings.scenario.requests is None,
                rate=self._settings.rate or 0.0,
                seconds=self._aggregator.recent_seconds(now),
                **strain(efforts)._asdict(),
                lost_workers=len(figures.lost) if figures else 0,
                joined_workers=sum(now - when < JOINED_SECONDS for when in joined),
                variants={
                    name: result.of_variant(
                        recent.get(name) or Counters(),
                        users=gauges.users,
                        connected=gauges.connected,
                        served=gauges.connected - gauges.unserved,
                        unsent=gauges.unsent,
                        imbalance=0,  # of the last seconds alone there is none to strike
                        missing=0 if gauges.connected else gauges.users,  # the others may be away
                        pending=gauges.pending,
                    )
                    for name, gauges in self._aggregator.gauges().items()
                },
            )
        )
