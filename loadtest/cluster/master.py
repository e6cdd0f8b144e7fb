"""
The life of a run: its phases, the workers' reports, its result.

A run has one or two phases: the warm-up, if any, and the measured window; a sweep (sweep.py) has such a window for each
of its rates. A warm-up ends when the figures have settled (settling.py), or after the time asked for. A phase's number
is the microsecond it began. The master (or the only process) starts a phase; worker.py has the other side.
"""

import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.pywsgi import WSGIServer
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.web import WebUI

from loadtest import locust_internals, run_warnings, settings
from loadtest.client.event_loop import run_for_ever
from loadtest.client.recorded_user import RECORDER
from loadtest.cluster import compatibility, exporter, leaving, rate, running, settling, shaping, worker
from loadtest.cluster.joining import Joining
from loadtest.cluster.sweep import Sweep
from loadtest.cluster.web_forms import Forms
from loadtest.cluster.worker import CLOSE, CLOSED, PHASE, REPORT, RUN
from loadtest.recording import facts, result
from loadtest.recording.aggregator import Aggregator
from loadtest.recording.histogram import Histogram, bucket, merge
from loadtest.recording.live_warnings import LiveWarnings
from loadtest.recording.steady_state import Settled
from servers.variants import VARIANTS

REPORTED: Final = 1.0
"""Seconds between two reports of a worker."""

LOOKED: Final = 0.012
"""
Seconds between two looks at this process's own counts, at least: one takes some 0.3 ms. Eleven, which are ten slices,
fit into the 0.2 s that a sweep of a second at each rate throws away.
"""

BREATH: Final = 0.002
"""
Seconds in which a load process lets its clients go on, between two parts of what it does once a second. Each part holds
them up: on a slow machine a report for 9 ms, its counting for 4, the warnings for 6.
"""

PATIENCE: Final = 2.0
"""Seconds to wait for the workers' last counts."""

logger = logging.getLogger(__name__)
_terminal = logging.getLogger("locust.stats_logger")


def install() -> None:
    """Connect to Locust's events; call it once, in a locustfile."""
    leaving.install()
    locust_internals.adapt(compatibility.VERSION, bucket)
    events.init_command_line_parser.add_listener(settings.add_options)
    events.init.add_listener(_on_init)
    gate = compatibility.Gate(locust_internals.move_times)
    locust_internals.filter_messages(gate.admits, compatibility.REFUSED, {"version": compatibility.VERSION})
    worker.install()


def _on_init(environment: Environment, runner: Runner, web_ui: WebUI | None, **_: object) -> None:
    if not isinstance(runner, MasterRunner):
        worker.begin()
    if isinstance(runner, WorkerRunner):
        worker.obey(runner)
    else:
        Master(environment, runner, web_ui)
    leaving.shut_down_once(environment)


def _serve(collector: exporter.LoadCollector, host: str, port: int) -> None:
    """Serve the load's /metrics; port 0: any free one. SystemExit with a line if that fails."""
    server = WSGIServer((host, port), exporter.application(collector), log=None, error_log=None)
    try:
        server.start()
    except OSError as error:
        if isinstance(error, socket.gaierror):
            why = f"{error.strerror}. Choose another --exporter-host"
        else:
            used = "Is another load running? Choose another --exporter-port (0: any free one)"
            why = f"{os.strerror(error.errno or 0)}. {used}"
        sys.exit(f"tcplab: cannot serve the load's metrics on {host}:{port}: {why}")
    logger.info("The load's metrics are at http://%s:%d/metrics", host, server.server_port)


class Master:
    """The part of the master, or of the only process."""

    def __init__(self, environment: Environment, runner: Runner, web_ui: WebUI | None) -> None:
        self._environment = environment
        self._runner = runner
        self._master = runner if isinstance(runner, MasterRunner) else None
        self._joining = Joining(environment, self._master) if self._master else None
        self._options = vars(environment.parsed_options)
        running.leave_out(environment)
        self._aggregator = Aggregator([variant.name for variant in VARIANTS if running.runs(variant)])
        self._settings = self._checked_settings()
        self._started: float | None = None
        self._target_users = 0
        self._closed: set[str] = set()
        self._own_reports: deque[dict[str, Any]] = deque()
        self._warmup: gevent.Greenlet | None = None
        self._sweep: Sweep | None = None
        self._spawned = False
        self._settled = Settled()
        self._windows: list[result.Window] = []
        self._live = LiveWarnings()
        self._warnings: list[run_warnings.LoadWarning] = []
        # Closed before the result is written: a run may end because no descriptor is left.
        self._spare = Path(os.devnull).open()  # noqa: SIM115 - it is kept
        self._options["enable_rebalancing"] = True  # else Locust ignores workers that join during a run
        shaping.offer(environment, settings.shape(self._options))
        shaping.default_users(environment)
        collector = exporter.LoadCollector(self._aggregator, self._status, time.monotonic)
        _serve(collector, self._options["exporter_host"], self._options["exporter_port"])
        locust_internals.tell_each_step(environment, self._note_step)
        hooks = environment.events
        hooks.test_start.add_listener(self._start)
        hooks.test_stopping.add_listener(self._finish)
        # Before Locust chooses its exit status, which depends on whether the result could be written.
        hooks.quitting.add_listener(self._finish)
        hooks.spawning_complete.add_listener(self._note_spawned)
        hooks.worker_report.add_listener(self._take_report)
        if self._master:
            self._master.register_message(CLOSED, lambda environment, msg: self._take_closed(msg.node_id, msg.data))
        if web_ui and web_ui.app:
            Forms(environment, self._forget_run).watch(web_ui.app, web_ui.host)
        run_for_ever(self._check_each_second)

    @property
    def _running(self) -> bool:
        return self._started is not None

    def _checked_settings(self) -> settings.Settings:
        try:
            chosen = settings.read(self._options)
        except ValueError as error:
            sys.exit(f"tcplab: {error}")
        if self._environment.host:
            names = ", ".join(f"TCPLAB_{variant.name.upper()}" for variant in VARIANTS)
            sys.exit(f"tcplab: --host would send every variant's clients to one server; set {names} (host:port)")
        return chosen

    # Starting

    def _start(self, **_: object) -> None:
        """Begin a run."""
        if self._joining:
            self._joining.gather()
        self._settings = settings.read(self._options)
        self._started = time.time()
        self._forget_run()
        self._live.forget()
        self._aggregator.forget_recent()
        self._options.pop(rate.INTERVAL, None)
        self._options[RUN] = {name: self._options[name] for name in settings.OF_A_RUN}
        worker.play(self._settings)
        self._windows = []
        self._spawned = False
        self._settled = Settled()
        self._begin_phase()
        if self._settings.warmup:
            self._warmup = gevent.spawn(self._warm_up)
        else:
            self._measure()

    def _warm_up(self) -> None:
        """Measure once the figures have settled; in a sweep, whose rates settle on their own, after the whole time."""
        wait = gevent.sleep if self._settings.sweep else self._settle
        wait(self._settings.warmup)
        self._measure()

    def _settle(self, at_most: float) -> None:
        """Wait until the figures have settled, at most so many seconds, or as long if no slices can show it."""
        self._settled = Settled()
        if not self._settings.scenario.settles or self._environment.shape_class is not None:
            gevent.sleep(at_most)
            return
        shortest = LOOKED if self._master is None else REPORTED
        self._settled = settling.wait(at_most, shortest, self._look, lambda: self._spawned)

    def _look(self) -> tuple[float, dict[str, Histogram]]:
        """Return seconds, and the response times of the phase up to now, by variant."""
        self._take_own_reports()  # else what is reported and not counted yet would be missing
        figures = self._aggregator.figures
        found = {} if figures is None else figures.responses()
        if self._master is None:
            for name, histogram in RECORDER.responses().items():
                merge(found.setdefault(name, {}), histogram)
            return time.monotonic(), found
        return (0.0 if figures is None else figures.counted_seconds()), found

    def _measure(self) -> None:
        """Begin to measure, now that the warm-up is over."""
        if not self._settings.sweep:
            if self._settings.warmup:
                self._begin_phase()
            return
        left = (self._options.get("run_time") or 0) - self._settings.warmup
        self._sweep = Sweep(
            self._settings.sweep, left, self._begin_rate, self._begin_phase, self._end_window, settle=self._settle
        )

    def _begin_rate(self, requests_per_second: float) -> None:
        """Go on with the next rate of a sweep."""
        self._settings = replace(self._settings, rate=requests_per_second)
        self._spread_rate(anew=True)

    def _begin_phase(self) -> None:
        phase = time.time_ns() // 1000
        self._options[PHASE] = phase
        self._aggregator.begin(phase, time.monotonic(), time.time())
        if self._master is not None:
            self._master.send_message(PHASE, {"phase": phase})
        else:
            RECORDER.begin(phase)

    def _forget_run(self) -> None:
        if self._joining is not None:
            self._joining.forget_run()

    # Running

    def _note_step(self, users: int) -> None:
        """Keep the total rate while the number of users changes."""
        self._target_users = users
        self._spawned = False
        self._spread_rate(anew=False)

    def _spread_rate(self, *, anew: bool) -> None:
        """Spread the rate over the users, in all processes; anew: without what was due and not sent."""
        users, total = self._target_users, self._settings.rate
        seconds = users / total if total else 0.0
        if (seconds == self._options.get(rate.INTERVAL) and not anew) or (total and not users):
            return
        self._options[rate.INTERVAL] = seconds  # for workers that join later
        if self._master:
            self._master.send_message(rate.INTERVAL, {"seconds": seconds, "anew": anew})
        else:
            rate.share_among(seconds, anew=anew)

    def _note_spawned(self, **_: object) -> None:
        """All users are there. Correct Locust's state "running" of a run that ended meanwhile."""
        self._spawned = True
        if not self._running:
            locust_internals.call_it_stopped(self._runner)

    def _check_each_second(self) -> None:
        """Once a second, for ever: note which workers are present, or count this process's own report."""
        while True:
            gevent.sleep(1)
            now = time.monotonic()
            if self._master is None or self._joining is None:
                self._own_reports.append(RECORDER.report())
                gevent.sleep(BREATH)
                self._take_own_reports()
            else:
                self._aggregator.note_present(locust_internals.workers_there(self._master), now)
                self._joining.check(running=self._running)
            gevent.sleep(BREATH)
            if self._running:
                self._live.look(facts.live(self._aggregator, self._settings, now), now)

    def _take_report(self, client_id: str, data: Mapping[str, Any], **_: object) -> None:
        """Add a worker's counts of the last second."""
        if REPORT in data:
            self._aggregator.take(client_id, data[REPORT], time.monotonic())
        if self._joining is not None:
            self._joining.worker_reported(client_id)

    def _take_own_reports(self) -> None:
        """Add what this process itself has reported."""
        while self._own_reports:
            self._aggregator.take("local", self._own_reports.popleft(), time.monotonic())

    def _take_closed(self, client_id: str, report: Mapping[str, Any]) -> None:
        """Add a worker's last counts of the window."""
        self._aggregator.take(client_id, report, time.monotonic())
        self._closed.add(client_id)

    def _status(self) -> exporter.Status:
        """Return what the exporter shows of the current run."""
        indexes = locust_internals.worker_indexes(self._master) if self._master else {"local": 0}
        workers = {
            indexes[name]: each for name, each in self._aggregator.workers.items() if each.present and name in indexes
        }
        rate_now = self._settings.rate or 0.0 if self._running else 0.0
        warnings = self._live.warnings() if self._running else self._warnings
        return exporter.Status(self._started, self._settings.scenario.name, rate_now, warnings, workers)

    # Ending

    def _finish(self, **_: object) -> None:
        """End a run, before its users stop: collect the last counts, and report the result."""
        if not self._running:
            return
        self._started = None
        if self._warmup is not None:
            if not self._warmup.ready():
                self._warmup.kill(block=False)
                self._settled = Settled()
                logger.warning("The run ended within its warm-up: its result is empty")
                self._begin_phase()
            self._warmup = None
        settles = self._sweep is not None and self._sweep.end()
        self._sweep = None
        if self._joining is not None:
            self._joining.run_ends()
        self._end_window()
        if settles and len(self._windows) > 1:
            self._windows.pop()  # the run ended before this rate was measured
        if len(self._windows) < len(self._settings.sweep):
            logger.warning("The run ended after %d of %d rates", len(self._windows), len(self._settings.sweep))
        self._report_result()
        gevent.sleep(settings.LINGER)

    def _end_window(self) -> None:
        """End the phase, and keep its figures."""
        now, users = time.monotonic(), self._users()
        try:
            self._collect()
        finally:
            self._aggregator.end(now, users)
            figures = self._aggregator.figures
            if figures is not None:
                warnings = run_warnings.check(facts.final(figures, self._settings, self._settled.changing))
                self._windows.append(result.Window(figures, self._settings, warnings, self._settled.seconds))

    def _collect(self) -> None:
        """Collect the last counts of all present workers, for PATIENCE at most."""
        if self._master is None:
            worker.close()
            self._own_reports.append(RECORDER.report())
            self._take_own_reports()
            return
        self._closed.clear()
        self._master.send_message(CLOSE)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not locust_internals.workers_there(self._master) <= self._closed:
            gevent.sleep(0.01)

    def _users(self) -> dict[str, int]:
        """Return the users by variant."""
        labels = {cls.__name__: getattr(cls, "label", "") or cls.__name__ for cls in self._environment.user_classes}
        counts = locust_internals.users_by_class(self._runner)
        return {labels[name]: number for name, number in counts.items() if name in labels}

    def _report_result(self) -> None:
        """Log the result, choose the exit status, and write the result file."""
        self._warnings = list({each.name: each for window in self._windows for each in window.warnings}.values())
        for line in result.lines(self._windows):
            _terminal.info(line)
        unanswered = {warning.name for warning in self._warnings} & {*run_warnings.UNANSWERED, "unconnected"}
        if unanswered and self._options["headless"]:
            self._environment.process_exit_code = self._options["exit_code_on_error"] or None
        path = self._settings.result
        if path is None:
            return
        self._spare.close()
        try:
            result.write(path, result.document(self._windows))
        except OSError as error:
            logger.error(  # noqa: TRY400 - a traceback adds nothing
                "Cannot write the result to %s: %s. Free space there, or choose another --result", path, error.strerror
            )
            self._environment.process_exit_code = 1
