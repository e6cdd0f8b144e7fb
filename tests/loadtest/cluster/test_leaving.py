"""Workers end with status 0 and no traceback, by any signal, at any moment. Locust has one shutdown."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.load.locust import ALL, Locust
from tests.support.processes import eventually, free_ports
from tests.support.stubs.recording import Stub, closes, honest

SIGNALS = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
JOINED = "Joined the master at"


def assert_ended_well(worker: Locust) -> None:
    """Assert that it ends without errors."""
    assert worker.ended() == 0, worker.log
    assert "Traceback" not in worker.log
    assert "Exception" not in worker.log
    assert worker.log.count("Shutting down") <= 1, worker.log


@contextmanager
def lab(folder: Path, stub: Stub) -> Iterator[tuple[Locust, Locust]]:
    """Start a master and a worker that load the stub. Yield both."""
    bind, web = free_ports(2)
    targets = dict.fromkeys(ALL, stub.address)
    with ExitStack() as stack:
        master = stack.enter_context(
            Locust(
                folder,
                *("--master", "--autostart", "--expect-workers", "1", "--master-bind-host", "127.0.0.1"),
                *("--master-bind-port", bind, "--web-host", "127.0.0.1", "--web-port", web, "-u", "40", "-r", "100"),
                targets=targets,
            )
        )
        worker = stack.enter_context(
            Locust(folder, "--worker", "--master-port", bind, targets=targets, name="worker"),
        )
        eventually(lambda: len(stub.texts) > 50, "load flows")
        yield master, worker


@SIGNALS
def test_a_worker_that_waits_for_its_master_ends(how: signal.Signals, tmp_path: Path) -> None:
    [bind] = free_ports(1)
    with Locust(tmp_path, "--worker", "--master-port", bind) as worker:
        eventually(lambda: "Starting Locust" in worker.log, "it has begun")
        time.sleep(1)
        worker.process.send_signal(how)
        assert_ended_well(worker)
        assert JOINED not in worker.log


@SIGNALS
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_worker_leaves_during_a_run(times: int, how: signal.Signals, tmp_path: Path) -> None:
    with Stub(honest) as stub, lab(tmp_path, stub) as (_, worker):
        for _ in range(times):
            worker.process.send_signal(how)
            time.sleep(0.02)
        assert_ended_well(worker)


@SIGNALS
def test_failed_requests_are_not_the_workers_failure(how: signal.Signals, tmp_path: Path) -> None:
    with Stub(closes) as stub, lab(tmp_path, stub) as (master, worker):
        time.sleep(1)
        worker.process.send_signal(how)
        assert_ended_well(worker)
        assert master.stop(signal.SIGTERM) == 1, "Locust's own status for failed requests"


@SIGNALS
@pytest.mark.parametrize(
    "order", ["servers, worker", "all at once", "master", "master, worker", "master killed, worker"]
)
def test_a_lab_ends_in_any_order(order: str, how: signal.Signals, tmp_path: Path) -> None:
    with ExitStack() as stack:
        stub = stack.enter_context(Stub(honest))
        master, worker = stack.enter_context(lab(tmp_path, stub))
        if order in {"servers, worker", "all at once"}:
            stub.__exit__()
        if order == "servers, worker":
            time.sleep(1)
        elif order == "master killed, worker":
            master.process.kill()
        else:
            master.process.send_signal(how)
        if order == "master, worker":
            time.sleep(0.1)
        if order != "master":
            worker.process.send_signal(how)
        assert_ended_well(worker)
        if order == "servers, worker":
            master.process.send_signal(how)
        if order != "master killed, worker":
            assert master.ended() in {0, 1}, "1 where requests have failed"
            assert "Traceback" not in master.log
            assert master.log.count("Shutting down") == 1
