"""The command as a user runs it: what it says, keeps and returns."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.check.client import OVERALL
from loadtest.check.scorecard import ROWS
from tests.loadtest.check.test_servers import FAULTY
from tests.support.processes import ROOT, eventually, free_ports, still_running

ALL = ("--commands", "SLEEP", "WORK", "QUIT", "ERR")


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "loadtest", "check", "--output", str(folder), *options]


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *options), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def server(fault: str = "") -> str:
    return f"mine={' '.join(FAULTY)} {fault}".strip()


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "check" / "mine.json").read_text())
    return found


def test_a_failed_row_says_what_was_sent(tmp_path: Path) -> None:
    done = run(tmp_path, "--server", server("stops at NUL"))
    assert (done.returncode, done.stderr) == (3, "")
    told = "ECHO a\\x00b\\n", "OK a\\n", "OK a\\x00b\\n"
    lines = done.stdout.splitlines()
    [binary] = [row for row in ROWS if row.name == "binary"]
    at = lines.index(f"  binary            FAILED  {binary.asks}")
    assert [line.strip() for line in lines[at + 1 : at + 4]] == [
        "sent      ECHO a\\x00b\\n",
        "came      OK a\\n",
        "expected  OK a\\x00b\\n",
    ]
    verdict = "mine: 1 of 25 rows failed: binary. 10 were not asked"
    assert verdict in done.stdout
    found = kept(tmp_path)
    assert (found["passed"], found["failed"], found["interrupted"]) == (24, 1, False)
    [failed] = [result for result in found["results"] if result["status"] == "failed"]
    assert (failed["name"], failed["sent"], failed["came"], failed["expected"]) == ("binary", *told)
    page = (tmp_path / "check" / "mine.md").read_text()
    assert page.startswith(f"# {verdict}")
    assert "| came | OK a\\\\n |" in page
    assert "| sleep | `SLEEP <ms> <text>` is answered with `OK <text>` once" in page


def test_a_clean_server_is_told_its_next_step(tmp_path: Path) -> None:
    done = run(tmp_path, "--server", server(), "--serves", "1", *ALL)
    assert (done.returncode, done.stderr) == (0, "")
    alone = sum(row.clients == 1 for row in ROWS)
    assert f"mine: all {alone} rows passed. {len(ROWS) - alone} were not asked." in done.stdout
    assert "  crowd             not asked: needs 2 clients at once\n" in done.stdout
    assert "python -m loadtest compare --variants single --clients 1 --repeats 10 --server 'mine=" in done.stdout


def test_a_running_server_is_asked_at_its_address(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with subprocess.Popen([*FAULTY[:2], port]) as running:
        try:
            eventually(lambda: psutil.Process(running.pid).net_connections("tcp"), "it listens")
            done = run(tmp_path, "--server", f"mine=127.0.0.1:{port}", *ALL)
            assert running.poll() is None
        finally:
            running.kill()
    assert (done.returncode, done.stderr) == (0, "")
    assert "  sigterm           not asked: the server was not started here\n" in done.stdout
    of_process = sum(row.process for row in ROWS)
    assert f"mine: all {len(ROWS) - of_process} rows passed. {of_process} were not asked." in done.stdout


def test_an_address_without_server_is_one_line(tmp_path: Path) -> None:
    [port] = free_ports(1)
    done = run(tmp_path, "--server", f"mine=127.0.0.1:{port}")
    assert done.returncode == 1
    why = "Connection refused; start it first, or correct its address"
    assert done.stderr == f"tcplab: no client can connect to mine: {why}\n"


def test_a_host_that_is_no_name(tmp_path: Path) -> None:
    done = run(tmp_path, "--server", "mine=a..b:80")
    assert done.returncode == 1
    why = "a..b is no host's name; start it first, or correct its address"
    assert done.stderr == f"tcplab: no client can connect to mine: {why}\n"


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    done = run(tmp_path, "--server", f"mine={sys.executable} -c 'exit(\"no luck today\")' {{port}}")
    assert done.returncode == 1
    why = "Connection refused; the server ended, exit status 1: no luck today; correct its command"
    assert done.stderr == f"tcplab: no client can connect to mine: {why}\n"


def test_a_long_error_is_quoted_once(tmp_path: Path) -> None:
    done = run(tmp_path, "--server", f"mine={sys.executable} -c 'exit(\"E\" * 1_000_000)' {{port}}")
    assert done.returncode == 1
    assert f": ...{'E' * 300}; correct" in done.stderr
    assert (tmp_path / "check" / "mine.md").read_text().count("E" * 300) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_a_process_that_escapes_is_found(tmp_path: Path) -> None:
    command = f"(setsid {' '.join(FAULTY[:2])} $0 {tmp_path} &); exec sleep 60"
    done = run(tmp_path, "--server", f"mine=sh -c '{command}' {{port}}", "--serves", "30")
    assert done.returncode == 3
    [failed] = [result for result in kept(tmp_path)["results"] if result["status"] == "failed"]
    assert (failed["name"], failed["came"]) == ("sigterm", "it ended, but 1 of its processes still run")
    assert [each for each in psutil.process_iter() if str(tmp_path) in " ".join(cmdline(each))] == []


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "the following arguments are required: --server"),
        (("--server", "mine=nowhere"), "'nowhere' is neither the address of mine"),
        (("--server", "single=x {port}"), "single is the name of one of the lab's servers"),
        (("--server", "mine=no-such-program {port}"), "there is no program no-such-program"),
        (("--server", "a=x {port}", "--server", "b=x {port}"), "it checks one server at a time"),
        (("--server", "mine=true {port}", "--serves", "0"), "--serves takes a whole number from 1 to 1000"),
        (("--server", "mine=true {port}", "--commands", "HELO"), "invalid choice: 'HELO'"),
        (("--server", "mine=true {port}", "--output", ""), "it is empty; name a folder"),
        (("--server", "mine=true {port}", "--output", "/dev/null"), "results cannot be kept in /dev/null/check"),
    ],
)
def test_a_bad_option_is_one_line(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run(tmp_path, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tcplab: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_keeps_the_card_so_far(tmp_path: Path) -> None:
    options = "--server", server("trims blanks"), *ALL
    with subprocess.Popen(command(tmp_path, *options), cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = ""
        while "  crowd" not in said:
            said += running.stdout.read(1)
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        said += running.stdout.read()
        assert running.wait(60) == 130
    assert family
    assert still_running(family, within=5) == []
    assert "Interrupted. mine: 1 of " in said
    found = kept(tmp_path)
    assert (found["interrupted"], found["failed"]) == (True, 1)
    assert found["results"][-1]["why"] == "interrupted"


def test_ctrl_c_ends_a_row_amid_bytes(tmp_path: Path) -> None:
    options = "--server", server("drips without an end")
    with subprocess.Popen(command(tmp_path, *options), cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = ""
        while "  blanks" not in said:
            said += running.stdout.read(1)
        running.send_signal(signal.SIGINT)
        assert running.wait(OVERALL / 2) == 130
    assert kept(tmp_path)["results"][1]["why"] == "interrupted"


def test_a_page_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "check" / "mine.md").mkdir(parents=True)
    done = run(tmp_path, "--server", "mine=true {port}")
    assert done.returncode == 1
    assert "the scorecard can't be kept in" in done.stderr


def test_an_earlier_card_stays_until_the_end(tmp_path: Path) -> None:
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "mine.json").write_text("{}")
    with subprocess.Popen(
        command(tmp_path, "--server", server("drips without an end")), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        said = ""
        while "  blanks" not in said:
            said += running.stdout.read(1)
        assert kept(tmp_path) == {}
        running.send_signal(signal.SIGINT)
        assert running.wait(OVERALL / 2) == 130


def test_commands_may_be_named_apart(tmp_path: Path) -> None:
    run(tmp_path, "--server", f"mine={sys.executable} -c exit(1) {{port}}", "--commands", "WORK", "--commands", "SLEEP")
    assert kept(tmp_path)["commands"] == ["SLEEP", "WORK"]
