"""The commands with odd standard streams, and Ctrl-C outside a command's own handling."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

INTERRUPTS_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
INTERRUPTED_LESSON = """
import runpy, sys
import loadtest.lessons.command
def lesson(_):
    raise KeyboardInterrupt
loadtest.lessons.command.lesson = lesson
sys.argv[1:] = ["lesson"]
runpy.run_module("loadtest", run_name="__main__")
"""


def run(*arguments: str, redirected: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {redirected}', sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("redirected", [">&-", "<&- >&-"])
def test_a_closed_stream_fails_no_command(redirected: str) -> None:
    ended = run("-m", "loadtest", "lesson", redirected=redirected)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_closed_stdin_is_an_empty_one() -> None:
    code = (
        "import sys; from loadtest.lab import streams; streams.prepare(); print(sys.stdin.isatty(), sys.stdin.read())"
    )
    ended = run("-c", code, redirected="<&-")
    assert (ended.stdout, ended.stderr) == ("False \n", "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_a_lost_error_keeps_its_status(redirected: str) -> None:
    assert run("-m", "loadtest", "lesson", "--bad", redirected=redirected).returncode == 2


def test_a_poor_encoding_shows_escapes() -> None:
    ended = run("-m", "loadtest", "lesson", "--lang", "ru", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("1  \\u041e\\u0447")


def test_bytes_without_meaning_are_asked_again(tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest", "lesson", "1", "--lang", "en", "--output", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
        stdin=its_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    os.close(its_end)
    assert process.stdout is not None
    said = b""
    try:
        for _ in range(2):
            os.write(terminal, b"\xff\n")
        while said.count(b"is not a number") < 2 and (more := process.stdout.read(4096)):
            said += more
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(terminal)
    assert b"Traceback" not in said
    assert said.count(b"'\\\\xff' is not a number") == 2


def test_an_interruption_while_importing_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text(INTERRUPTS_ITSELF)
    ended = run("-m", "loadtest", "lesson", PYTHONPATH=str(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_interruption_outside_a_run_is_quiet() -> None:
    ended = run("-c", INTERRUPTED_LESSON)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
