"""Workers of another version are refused, and a worker's wall clock changes no figure."""

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from loadtest.cluster.compatibility import REMEMBERED, ROOT, STAMP, VERSION, Clocks, Gate, digest, sources
from tests.support.load.locust import ALL, Locust, assert_conserved, warnings
from tests.support.load.versions import another_version
from tests.support.processes import eventually, free_ports
from tests.support.stubs.recording import Stub, honest


def test_the_version_covers_every_source_of_the_load() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert {
        "loadtest/recording/recorder.py",
        "loadtest/cluster/worker.py",
        "loadtest/locust_internals.py",
        "loadtest/scenarios.py",
        "servers/wire.py",
    } <= names
    code = "import sys; import loadtest.locustfile; print(*(getattr(m, '__file__', '') for m in sys.modules.values()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {
        Path(each).relative_to(ROOT).as_posix()
        for each in done.stdout.split()
        if each.startswith((f"{ROOT}/loadtest/", f"{ROOT}/servers/"))
    }
    assert loaded - names == {"servers/__init__.py"}


def test_the_version_ignores_line_ends_only(tmp_path: Path) -> None:
    another_version(tmp_path)
    assert digest(sources(tmp_path), tmp_path) != digest(sources())
    script = tmp_path / "loadtest" / "client" / "script.py"
    script.write_bytes((ROOT / "loadtest" / "client" / "script.py").read_bytes().replace(b"\n", b"\r\n"))
    assert digest(sources(tmp_path), tmp_path) == digest(sources())
    (tmp_path / "loadtest" / "new.py").touch()
    assert digest(sources(tmp_path), tmp_path) != digest(sources())
    assert VERSION.endswith(digest(sources()))


def gate() -> Gate:
    """Return a gate of version 1.0 that moves no times."""
    return Gate(lambda report, seconds: None, "1.0")


@pytest.mark.parametrize(
    ("kind", "data", "admitted"),
    [
        ("client_ready", "1.0", True),
        ("client_ready", "1.1", False),
        ("client_ready", -1, False),  # the version that makes Locust skip its check
        ("client_ready", None, False),
        ("stats", {}, False),  # of a worker that knows of no version
        ("tcplab_closed", {"parts": [], STAMP: ["1.1", 0.0]}, False),
        ("tcplab_closed", {"parts": [], STAMP: ["1.0", 0.0]}, True),
        ("heartbeat", {"state": "running"}, True),
        ("quit", None, True),
    ],
)
def test_a_message_of_another_version_is_not_taken(kind: str, data: object, admitted: bool) -> None:
    assert gate().admits("host_1", kind, data) is admitted


def test_a_repeated_refusal_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    found = gate()
    for worker, version in (("a_1", "0.9"), ("a_2", "0.9"), ("b_3", "0.9"), ("a_4", "0.8")):
        assert not found.admits(worker, "client_ready", version)
    assert [record.args for record in caplog.records] == [
        ("a", "0.9", "1.0"),
        ("b", "0.9", "1.0"),
        ("a", "0.8", "1.0"),
    ]


def test_a_report_is_filed_under_the_masters_seconds() -> None:
    """The worker's clock is an hour ahead, and the report was 0.2 s on its way."""
    data = {STAMP: ["1.0", 4601.0]}
    moved: list[tuple[dict[str, Any], int]] = []
    found = Gate(lambda report, seconds: moved.append((report, seconds)), "1.0", clock=lambda: 1001.2)
    assert found.admits("host_1", "stats", data)
    assert moved == [(data, -3600)]


def test_a_delayed_report_says_nothing_about_clocks() -> None:
    clocks = Clocks()
    assert clocks.behind("near", 100.0, 100.1) == 0
    assert clocks.behind("near", 101.0, 111.0) == 0, "cut off for ten seconds"
    assert clocks.behind("far", 100.0, 3700.1) == 3600, "each worker has a clock of its own"
    assert clocks.behind("near", 3700.0, 112.0) == -3588, "set ahead"
    for second in range(REMEMBERED):
        behind = clocks.behind("near", 3000.0 + second, 3030.0 + second)
    assert behind == 30, "set back"


def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    """One worker's clock is an hour ahead: neither Locust's statistics nor ours show it."""
    [port], other = free_ports(1), another_version(tmp_path / "other")
    ahead = tmp_path / "ahead.py"
    ahead.write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() + 3600\nfrom loadtest.locustfile import *\n"
    )
    with Stub(honest) as stub, ExitStack() as stack:
        targets = dict.fromkeys(ALL, stub.address)

        def start_worker(name: str, **more: Any) -> Locust:
            return stack.enter_context(
                Locust(tmp_path, "--worker", "--master-port", port, targets=targets, name=name, **more)
            )

        master = stack.enter_context(
            Locust(
                tmp_path,
                *(
                    "--master",
                    "--headless",
                    "--only-summary",
                    "--expect-workers",
                    "2",
                    "--master-bind-host",
                    "127.0.0.1",
                ),
                *("--master-bind-port", port, "-u", "8", "-r", "100", "--result", str(tmp_path / "result.json")),
                *("--json-file", str(tmp_path / "statistics")),
                targets=targets,
            )
        )
        start_worker("worker1")
        start_worker("worker2", locustfile=ahead)
        eventually(lambda: len(stub.texts) > 50, "load flows")
        for name in ("refused1", "refused2"):
            refused = start_worker(name, locustfile=other / "loadtest" / "locustfile.py", cwd=other)
            assert refused.ended() == 1
            [line] = [line for line in refused.log.splitlines() if "refused" in line]
            assert line.startswith("tcplab: the master refused this worker: it has version ")
            assert VERSION in line
            assert "Traceback" not in refused.log
        eventually(lambda: len(stub.texts) > 100, "the load goes on")
        assert master.stop(signal.SIGTERM) == 0, master.log

    assert master.log.count("Refused a worker on ") == 1
    outcome = master.outcome()
    assert outcome["generator"]["workers"] == 2
    assert not warnings(outcome) & {"worker-lost", "worker-joined", "conservation"}
    for part in outcome["variants"].values():
        assert_conserved(part)
    window = outcome["window"]
    seconds = {
        int(second)
        for each in json.loads((tmp_path / "statistics.json").read_text())
        for second in each["num_reqs_per_sec"]
    }
    assert window["started"] - 2 < min(seconds) <= max(seconds) < window["ended"] + 2


def test_a_worker_leaves_a_master_of_another_version(tmp_path: Path) -> None:
    [port], other = free_ports(1), another_version(tmp_path / "other")
    with Stub(honest) as stub, ExitStack() as stack:
        targets = dict.fromkeys(ALL, stub.address)

        def start_master(name: str, **more: Any) -> Locust:
            bind = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
            return stack.enter_context(
                Locust(tmp_path, "--master", "--headless", *bind, "-u", "8", targets=targets, name=name, **more)
            )

        master = start_master("master")
        worker = stack.enter_context(
            Locust(tmp_path, "--worker", "--master-port", port, targets=targets, name="worker")
        )
        eventually(lambda: len(stub.texts) > 20, "load flows")
        master.process.kill()
        master.process.wait()
        successor = start_master("successor", locustfile=other / "loadtest" / "locustfile.py", cwd=other)
        assert worker.ended() == 1
        assert "tcplab: the master refused this worker: it has version " in worker.log.splitlines()[-1]
        seen = successor.metrics()
        assert sum(value for (name, *_), value in seen.items() if name == "tcplab_load_sent_total") == 0
        assert successor.log.count("Refused a worker on ") == 1
