"""The command as a user runs it: real servers, a stub for Locust; and once with Locust itself."""

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.compare.analysis.measures import Measure, ceiling_of, measures_of
from loadtest.compare.analysis.summary import summaries
from loadtest.compare.measure.run import is_confined, silence
from loadtest.compare.measure.sampler import NOT_OURS
from loadtest.compare.plan import rounded
from tests.loadtest.compare.results import comparison, several_runs, warning
from tests.support.processes import ROOT, eventually, still_running

QUICK = ("--scenarios", "saturate", "--clients", "3", "--seconds", "1", "--variants", "single", "threaded", "asyncio")
MEASURED = "[ 2/"
"""The output when the second run begins."""


STAND_IN = ("tests.support.load.compare",)
LOCUST = ("loadtest", "compare")


def command(output: Path, *options: str, module: Sequence[str] = STAND_IN) -> list[str]:
    return [sys.executable, "-m", *module, *QUICK, "--output", str(output), *options]


def run(output: Path, *options: str, fault: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(output, *options, **more),
        cwd=ROOT,
        env={**os.environ, "TEST_FAULT": fault},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def result(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "latest" / "compare.json").read_text())
    return found


def statuses(output: Path) -> dict[str, str]:
    return {each["candidate"]: each["status"] for each in result(output)["runs"]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.mark.measures
def test_a_whole_comparison(results: Path) -> None:
    done = run(results, "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    found = result(results)
    assert found["complete"]
    assert not found["interrupted"]
    assert sorted(each["candidate"] for each in found["runs"]) == ["asyncio", "single", "threaded"]
    threads = {}
    for each in found["runs"]:
        candidate = each["candidate"]
        part = each["load"]["variants"][candidate]
        assert part["served"] == (1 if candidate == "single" else 3)
        window = each["load"]["window"]["seconds"]
        assert 0.05 < each["usage"]["server_cpu"] / window < 1.1
        assert 10_000_000 < each["usage"]["idle"] <= each["usage"]["resident"] < 100_000_000
        threads[candidate] = each["usage"]["threads"]
        [summary] = [each for each in summaries(found) if each.candidate.name == candidate]
        if candidate != "single" and summary.valid:
            assert summary["requests_per_second"].value == pytest.approx(part["verified"] / window)
    assert threads["threaded"] - threads["single"] == threads["threaded"] - threads["asyncio"] == 3
    assert "1 of 3" in done.stdout
    folder = results / "latest"
    assert sorted(each.name for each in folder.iterdir()) == [
        "compare.html",
        "compare.json",
        "compare.md",
        "compare.svg",
    ]
    assert found["machine"]["packages"]["locust"]
    assert found["plan"]["seed"] == 1


def test_a_run_keeps_the_servers_python(results: Path) -> None:
    run(results, "--variants", "threaded")
    [kept] = (each["interpreter"] for each in result(results)["runs"])
    assert (kept["implementation"], kept["version"]) == (platform.python_implementation(), platform.python_version())
    assert (kept["build"], kept["gil"], kept["switch_interval"]) == ("gil", True, 0.005)


def test_loops_intervals_and_pythons_are_of_one_comparison(results: Path) -> None:
    conditions = ("--loops", "uvloop", "rloop", "--switch-intervals", "0.005", "0.0005")
    done = run(
        results, "--variants", "threaded", "asyncio", *conditions, "--python", f"here={sys.executable}", "--seed", "1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = result(results)
    assert {each["candidate"]: each["interpreter"]["switch_interval"] for each in found["runs"]} == {
        "threaded-here": 0.005,
        "threaded-0.5ms-here": 0.0005,
        "asyncio-here": 0.005,
        "asyncio-rloop-here": 0.005,
    }
    assert all(f"asyncio on {loop}, Python here" in done.stdout for loop in ("uvloop", "rloop"))
    assert {each["python"] for each in found["plan"]["candidates"]} == {sys.executable}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--python", "x=no-such-python"), "there is no program no-such-python: install that Python, or correct its"),
        (("--python", "python3.14t"), "'python3.14t' is not a Python: give NAME=PROGRAM"),
        (("--loops", "trio"), "--loops: invalid choice: 'trio'"),
        (("--switch-intervals", "0"), "'0' is not a number of seconds from 0.000001 to 10"),
        (("--python", f"here={sys.executable}", "--against", "HEAD"), "--against starts both revisions by the Python"),
        (("--thorough", "--loops", "rloop"), "--thorough sets its own"),
        (
            ("--loops", "uvloop", "rloop", "--scenarios", "churn"),
            "rloop never closes a connection, so that clients who",
        ),
        (
            ("--switch-intervals", "0.0005", "--server", "threaded-0.5ms={port}"),
            "'threaded-0.5ms={port}' is not a server",
        ),
        (
            ("--variants", "protocol", "--loops", "rloop", "--server", "protocol-rloop=x {port}"),
            "two servers have the same name: protocol-rloop, protocol-rloop",
        ),
    ],
)
def test_bad_conditions_are_one_line(results: Path, options: tuple[str, ...], said: str) -> None:
    done = run(results, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert not results.exists()


@pytest.mark.measures
def test_the_generators_ceiling_comes_first(results: Path) -> None:
    done = run(results, "--seed", "1", "--variants", "asyncio", "--ceiling")
    assert (done.returncode, done.stderr) == (0, "")
    found = result(results)
    assert found["complete"]
    assert found["plan"]["ceiling"] == {
        "scenario": "saturate",
        "clients": 50,
        "warmup": 1,
        "seconds": 1,
        "think": None,
        "rate": None,
        "size": None,
    }
    ceiling = found["ceiling"]
    assert ceiling["clients"] == 50
    assert ceiling["requests_per_second"] > 500
    # It is the generator's own core that is paid with.
    assert 0.01 < ceiling["requests_per_second"] * ceiling["cpu_us_per_request"] / 1e6 < 1.1
    assert {*ceiling} == {"requests_per_second", "cpu_us_per_request", "clients", "warnings"}
    assert done.stdout.index("sink, saturate, 50 clients") < done.stdout.index("asyncio on uvloop, saturate, 3 clients")
    assert "Ceiling of the generator itself: " in done.stdout
    assert "Ceiling of the generator itself: " in (results / "latest" / "compare.html").read_text()
    (one,) = found["runs"]
    speed = measures_of(one, ceiling_of(found)).requests_per_second
    assert speed.at_least or (speed.value or 0) < 0.9 * ceiling["requests_per_second"]


def test_without_a_ceiling_the_comparison_goes_on(results: Path) -> None:
    done = run(results, "--variants", "asyncio", "--ceiling", fault="sink-fails")
    assert done.returncode == 1
    found = result(results)
    assert found["ceiling"] is None
    assert not found["complete"]
    assert [warning["name"] for warning in found["warnings"]][-1] == "no-ceiling"
    assert "FAILED: sink ended by itself, exit status 1: no sink today" in done.stdout
    assert statuses(results) == {"asyncio": "done"}
    assert "1 of 2 measurements done" in " ".join(done.stdout.split())


@pytest.mark.measures
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin processes")
def test_server_and_generator_have_cores_of_their_own(results: Path) -> None:
    run(results, "--variants", "asyncio")
    found = result(results)
    assert found["machine"]["usable_cores"] == len(os.sched_getaffinity(0))
    if len(os.sched_getaffinity(0)) > 1:
        assert len(found["pinned"]["server"]) == len(found["pinned"]["generator"]) == 1
        assert found["pinned"]["server"] != found["pinned"]["generator"]
    else:
        assert [warning["name"] for warning in found["warnings"]] == ["not-pinned"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("server-dies", "threaded-server ended by itself, killed by SIGKILL"),
        ("server-refuses", "threaded-server ended by itself, exit status 2: python -m servers: argument --backlog"),
        ("load-fails", "locust ended by itself, exit status 1: no load today"),
        ("load-silent", "the load's result can't be read"),
    ],
)
def test_a_failed_run_is_marked_and_others_continue(results: Path, fault: str, reason: str) -> None:
    done = run(results, "--seed", "1", "--variants", "threaded", "asyncio", fault=fault)
    assert done.returncode == 1
    assert list(statuses(results).items()) == [("threaded", "failed"), ("asyncio", "done")]
    (failed,) = (each for each in result(results)["runs"] if each["status"] == "failed")
    assert failed["reason"].startswith(reason)
    assert f"FAILED: {reason}" in done.stdout
    assert "INCOMPLETE" in (results / "latest" / "compare.html").read_text()


def test_a_comparison_without_rates_has_failed(results: Path) -> None:
    done = run(results, "--scenarios", "rates", "--variants", "threaded", fault="load-fails")
    assert done.returncode == 1, done.stderr
    assert result(results)["runs"] == []
    assert [each["name"] for each in result(results)["warnings"] if each["name"] == "no-rates"] == ["no-rates"]


class Running:
    """A comparison in a process group of its own, as a terminal or `make` starts it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.said = ""

    def until(self, words: str) -> None:
        """Read until it has said `words`."""
        assert self.process.stdout
        while words not in self.said:
            letter = self.process.stdout.read(1)
            assert letter, f"it ended, having said: {self.said}{self.process.stderr and self.process.stderr.read()}"
            self.said += letter

    def children(self) -> list[psutil.Process]:
        """Return all processes below it, once there are a server and a load."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            below = still_running(psutil.Process(self.process.pid).children(recursive=True))
            names = []
            with suppress(psutil.Error):  # one that ends meanwhile
                names = [" ".join(each.cmdline()) for each in below]
            if any(" servers " in name for name in names) and any("stubs.load" in name for name in names):
                return below
            time.sleep(0.02)
        raise AssertionError(f"no server and load: {names}")

    def rest(self) -> str:
        """Return all that it said, once it has ended."""
        said, _ = self.process.communicate(timeout=20)
        return self.said + said


@pytest.fixture
def running(results: Path) -> Iterator[Running]:
    started = Running(command(results, "--seed", "1"))
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_results_and_leaves_no_process(
    running: Running, results: Path, number: signal.Signals
) -> None:
    running.until(MEASURED)
    below = running.children()
    os.killpg(running.process.pid, number)
    said = running.rest()
    assert running.process.returncode == 130
    assert still_running(below) == []
    assert statuses(results) == {"asyncio": "done", "single": "interrupted", "threaded": "not run"}
    assert result(results)["interrupted"]
    assert not result(results)["complete"]
    assert "3 of 3" in said
    assert "INCOMPLETE: interrupted, with 1 of 3 measurements done." in said
    assert "INCOMPLETE: interrupted" in (results / "latest" / "compare.html").read_text()


def test_interrupted_through_make(results: Path, tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("there is no make")
    makefile = tmp_path / "Makefile"
    makefile.write_text("compare:\n\t@" + " ".join(command(results, "--seed", "1")) + "\n")
    running = Running(["make", "--file", str(makefile), "compare"])
    running.until(MEASURED)
    below = running.children()
    os.killpg(running.process.pid, signal.SIGINT)
    said = running.rest()
    assert running.process.returncode != 0
    assert still_running(below) == []
    assert "INCOMPLETE: interrupted, with 1 of 3 measurements done." in said
    assert statuses(results)["asyncio"] == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_kill_9_leaves_no_orphan_but_a_result(running: Running, results: Path) -> None:
    running.until(MEASURED)
    below = running.children()
    running.process.kill()
    assert still_running(below, 5) == []
    assert statuses(results)["asyncio"] == "done"
    assert not result(results)["complete"]


def test_where_nothing_can_be_written_nothing_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # root may write to any folder, but not into a file
    done = run(tmp_path / "file" / "results")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "TCPLAB_UID=$(id -u)" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = run(tmp_path / "results")
    tmp_path.chmod(0o700)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--clients", "0"), "'0' is not a whole number from 1 to 10000"),
        (("--variants", "twisted"), "invalid choice: 'twisted'"),
        (("--seconds", "1.5"), "'1.5' is not a whole number"),
        (("--fast",), "unrecognized arguments: --fast"),
        (("--slo", "p99<50ms", "--capacity"), "unrecognized arguments: --capacity"),
        (("--thorough",), "--thorough sets its own --scenarios"),
        (("--slo", "quick"), "'quick' is not an SLO; write it like p99<50ms"),
        (("--cores", "1"), "'1' is not two different cores"),
        (("--cores", "7777,0"), "core 7777 is not one of the cores that may be used here"),
        (("--server", "mine"), "'mine' is not a server: give NAME=HOST:PORT"),
        (("--server", "mine=127.0.0.1:1"), "mine does not answer at 127.0.0.1:1: Connection refused; start it"),
        (("one.json",), "give two results to compare"),
        (("one.json", "two.json"), "one.json: it can't be read: No such file or directory"),
    ],
)
def test_usage_errors_are_one_line(results: Path, options: tuple[str, ...], said: str) -> None:
    done = run(results, *options)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert said in done.stderr
    assert not results.exists()


def test_an_unknown_command_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "measure"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "measure is not a command; choose from compare, report" in done.stderr


OWN = """
import socketserver, sys

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"OK" + line[4:])

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


@pytest.mark.measures
def test_ones_own_server_is_started_and_compared(results: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    done = run(results, "--server", f"mine={sys.executable} {tmp_path / 'own.py'} {{port}}", "--variants", "asyncio")
    assert (done.returncode, done.stderr) == (0, "")
    assert statuses(results) == {"asyncio": "done", "mine": "done"}
    [mine] = [each for each in result(results)["runs"] if each["candidate"] == "mine"]
    assert measures_of(mine).served == 3
    assert mine["usage"]["threads"] >= 4
    assert mine["usage"]["server_cpu"] > 0.01
    page = (results / "latest" / "compare.html").read_text()
    assert "mine" in page
    assert "Your own" in page


@pytest.mark.measures
def test_ones_own_running_server_is_compared(results: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with subprocess.Popen([sys.executable, "-c", OWN, port]) as server:
        try:
            eventually(lambda: not silence(f"127.0.0.1:{port}"), "it serves")
            done = run(results, "--server", f"mine=127.0.0.1:{port}", "--variants", "asyncio")
        finally:
            server.kill()
    assert (done.returncode, done.stderr) == (0, "")
    [mine] = [each for each in result(results)["runs"] if each["candidate"] == "mine"]
    assert measures_of(mine).served == 3
    assert measures_of(mine).cpu_us == Measure(why=NOT_OURS)


def test_ones_own_server_that_fails_is_marked(results: Path) -> None:
    done = run(results, "--server", f"mine={sys.executable} -c 1/0 {{port}}", "--variants", "asyncio")
    assert done.returncode == 1
    assert statuses(results) == {"asyncio": "done", "mine": "failed"}
    assert "FAILED: mine-server does not serve: Connection refused" in done.stdout


def test_a_missing_server_program_is_refused_at_once(results: Path) -> None:
    done = run(results, "--server", "mine=nosuchprogram {port}", "--variants", "asyncio")
    told = "tcplab: mine can't be started: there is no program nosuchprogram; correct its command\n"
    assert (done.returncode, done.stderr) == (2, told)
    assert not results.exists()


def test_missing_packages_name_the_right_environment() -> None:
    bare = [sys.executable, "-S", "-m", "loadtest", "compare", "--help"]
    done = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    told = "tcplab: this Python has no locust; run make compare, or .venv/bin/python -m loadtest after it\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_two_results_without_sound_runs_do_not_pass(tmp_path: Path) -> None:
    """For a check in CI, unknown is not good."""
    excluded = comparison(*several_runs(10, "asyncio", load_warnings=[[warning("stolen-time")]] * 10))
    for name in ("before", "after"):
        (tmp_path / f"{name}.json").write_text(json.dumps(excluded))
    both = [sys.executable, "-m", "loadtest", "compare", *map(str, sorted(tmp_path.glob("*.json")))]
    done = subprocess.run(both, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    told = "tcplab: nothing can be compared: no measure has valid runs in both; measure again\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.measures
def test_three_runs_each_are_interleaved_and_summarised(results: Path) -> None:
    done = run(results, "--variants", "threaded", "asyncio", "--repeats", "3", "--seed", "5")
    assert (done.returncode, done.stderr) == (0, "")
    runs = result(results)["runs"]
    assert [each["repeat"] for each in runs] == [1, 1, 2, 2, 3, 3]
    assert all(
        {a["candidate"], b["candidate"]} == {"threaded", "asyncio"} for a, b in zip(runs[::2], runs[1::2], strict=True)
    )
    for summary in summaries(result(results)):
        assert len(summary.shown) == 3


def test_a_report_is_redrawn_from_the_result(results: Path, tmp_path: Path) -> None:
    run(results, "--variants", "asyncio")
    kept = tmp_path / "kept.json"
    shutil.copy(results / "latest" / "compare.json", kept)
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "report", str(kept)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("compare.html", "compare.svg", "compare.md"):
        assert (tmp_path / name).read_text() == (results / "latest" / name).read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "it is incomplete, or not JSON"),
        (
            lambda text: text.replace('"schema":3', '"schema":2', 1),
            "it has schema 2, and this version of the lab reads 3",
        ),
        (lambda text: "[]", "it is not a comparison's result"),
        (lambda text: '{"kind":"comparison","schema":3}', "command: it is missing (and 11 more)"),
    ],
    ids=["half", "another schema", "a list", "empty"],
)
def test_an_unreadable_result_is_one_line(
    results: Path, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    run(results, "--variants", "asyncio")
    bad = tmp_path / "bad.json"
    bad.write_text(change((results / "latest" / "compare.json").read_text()))
    good = str(results / "latest" / "compare.json")
    for arguments in (["report", str(bad)], ["compare", str(bad), good], ["compare", good, str(bad)]):
        done = subprocess.run(
            [sys.executable, "-m", "loadtest", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
        assert said in done.stderr


def test_results_can_be_sent_elsewhere_by_the_environment(tmp_path: Path) -> None:
    environment = {**os.environ, "TCPLAB_RESULTS": str(tmp_path / "elsewhere")}
    arguments = [sys.executable, "-m", "tests.support.load.compare", *QUICK, "--variants", "single"]
    subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=True)
    assert result(tmp_path / "elsewhere")["complete"]


def test_two_comparisons_never_share_a_folder(results: Path) -> None:
    both = [Running(command(results, "--variants", "single")) for _ in range(2)]
    assert [(one.rest(), one.process.returncode)[1] for one in both] == [0, 0]
    assert len(list(results.glob("*/compare.json"))) >= 2


@pytest.mark.measures
def test_with_locust_itself(results: Path) -> None:
    done = run(results, "--clients", "5", "--seed", "1", module=LOCUST)
    assert (done.returncode, done.stderr) == (0, "")
    for each in result(results)["runs"]:
        measures = measures_of(each)
        assert (measures.served, measures.connected) == (1 if each["candidate"] == "single" else 5, 5)
        # The window gets what is left of the second of warm-up, of which settled figures need half.
        assert 0.8 < each["load"]["window"]["seconds"] < 1.7
        if each["candidate"] != "single":
            assert (measures.requests_per_second.value or 0) > 200
            # In the closed model the two are alike. On a busy machine the generator's own delay may be in them.
            assert measures.service_p99_us == measures.response_p99_us
            if "generator's own delay" not in measures.response_p50_us.why:
                assert 10 < (measures.response_p50_us.value or 0) < 100_000
            assert 1 < (measures.cpu_us.value or 0) < 2000


@pytest.mark.measures
def test_real_locust_runs_another_scenario_and_the_ceiling(results: Path) -> None:
    """Another scenario's properties reach the report, and the sink answers what Locust asks."""
    options = ("--scenarios", "churn", "--clients", "5", "--variants", "single", "asyncio", "--ceiling")
    done = run(results, *options, module=LOCUST)
    assert (done.returncode, done.stderr) == (0, "")
    found = result(results)
    assert found["ceiling"]["requests_per_second"] > 1000
    assert 1 < found["ceiling"]["cpu_us_per_request"] < 500
    assert not {"corrupt", "conservation", "unserved"} & {warning["name"] for warning in found["ceiling"]["warnings"]}
    for each in found["runs"]:
        measures = measures_of(each)
        assert (measures.served, measures.connected) == (5, 5)
        assert (measures.requests_per_second.value or 0) > 50
        assert measures.response_p99_us.value is None
        if "generator's own delay" not in measures.first_p99_us.why:
            assert (measures.first_p99_us.value or 0) > 10


def test_a_server_in_our_group_is_not_confined() -> None:
    """Its group's memory includes ours: shown as the server's, it would be an artefact."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_confined(process.pid)
        assert process.stdin is not None
        process.stdin.close()
    assert not is_confined(process.pid), "nor is one that has ended"


def test_too_few_descriptors_are_one_line(results: Path) -> None:
    few = ["sh", "-c", 'ulimit -n 300 && exec "$@"', "sh", *command(results, "--clients", "400")]
    done = subprocess.run(few, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert "400 clients need 500 descriptors, and a process may open 300 here: raise ulimit -n, or ask" in done.stderr
    assert not results.exists()


@pytest.mark.measures
@pytest.mark.parametrize(("slo", "status", "word"), [("p99<1us", 3, "MISSED"), ("p99<30s", 0, "kept")])
def test_an_slo_decides_the_exit_status(results: Path, slo: str, status: int, word: str) -> None:
    """A reply takes longer than a microsecond, and less than 30 s; other work on the machine may excuse a miss."""
    for _ in range(5):
        done = run(results, "--variants", "asyncio", "--scenarios", "crowd", "--warmup", "1", "--slo", slo)
        said = " ".join(done.stdout.split())
        if f"SLO {slo} cannot tell" not in said:
            break
        assert done.returncode == 0
    assert f"SLO {slo} {word}: asyncio on uvloop, crowd, 3 clients, in" in said
    assert done.returncode == status


@pytest.mark.measures
def test_rates_are_shares_of_what_was_reached(results: Path) -> None:
    """With Locust itself: one server and one load process for the two rates of a sweep."""
    options = ("--scenarios", "rates", "--rates", "70%,30%", "--clients", "4", "--variants", "threaded", "asyncio")
    done = run(results, *options, module=LOCUST)
    assert (done.returncode, done.stderr) == (0, "")
    found = result(results)
    assert {each["candidate"] for each in found["reached"]} == {"threaded", "asyncio"}
    least = min(each["requests_per_second"] for each in found["reached"])
    rates = [rounded(share * least) for share in (0.3, 0.7)]
    assert [task["rates"] for task in found["plan"]["tasks"]] == [rates]
    for first, second in (found["runs"][:2], found["runs"][2:]):
        assert (first["process"], second["process"]) == (first["number"], first["number"])
        assert [first["workload"]["rate"], second["workload"]["rate"]] == rates
        for each in (first, second):
            [part] = each["load"]["variants"].values()
            seconds = each["load"]["window"]["seconds"]
            assert (each["load"]["target_rate"], part["served"]) == (each["workload"]["rate"], 4)
            assert seconds == pytest.approx(0.8, abs=0.2)
            assert part["verified"] == pytest.approx(seconds * each["workload"]["rate"], rel=0.3)
            assert each["usage"]["turns"] > 0
    assert "Sustained: the highest rate tried with p99<20ms" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines() if line.startswith(("threaded", "asyncio")))
