"""compare --against REVISION: both versions of a server in one session."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest.__main__ import main
from loadtest.compare import revision
from loadtest.compare.analysis.regression import is_untold, of_revisions
from loadtest.compare.candidates import LAB, own
from loadtest.compare.command import _of_revisions
from loadtest.compare.options import UNTOLD, WORSE
from loadtest.compare.plan import chosen
from loadtest.compare.report import differences
from tests.loadtest.compare.results import comparison, measured_since, several_runs, warning
from tests.support.processes import ROOT, still_running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a repository with two commits, of which the first is tagged."""
    folder = tmp_path / "root"
    folder.mkdir()

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet")
    for text, tag in (("old", "first"), ("new", "second")):
        (folder / "server").write_text(text)
        git("add", "server")
        git("commit", "--quiet", "-m", text)
        git("tag", tag)
    return folder


def test_a_revisions_files_are_written_out(root: Path, tmp_path: Path) -> None:
    (root / "server").write_text("not committed")
    (tmp_path / "before").mkdir()
    commit = revision.check_out("first", tmp_path / "before", root)
    assert (tmp_path / "before" / "server").read_text() == "old"
    assert (root / "server").read_text() == "not committed"
    assert len(commit) == 12
    assert revision.check_out(commit, tmp_path / "before", root) == commit


@pytest.mark.parametrize("bad", ["third", "--output=/tmp/x", "first:server"])
def test_a_revision_that_is_none_is_refused(bad: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--against: ") as refused:
        revision.check_out(bad, tmp_path, root)
    assert "\n" not in str(refused.value)


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    revision.build("echo built > built", tmp_path)
    assert (tmp_path / "built").read_text() == "built\n"
    with pytest.raises(ValueError, match=r"^--build: 'echo no compiler >&2; exit 3' ended with 3 in .*: no compiler$"):
        revision.build("echo no compiler >&2; exit 3", tmp_path)
    with pytest.raises(ValueError, match=r"ended with 1 in .*: a\.c:1: error: no main$"):
        revision.build("echo 'a.c: warning'; echo 'a.c:1: error: no main'; echo '  ^~~'; false", tmp_path)


def test_both_versions_start_alike(tmp_path: Path) -> None:
    here, there = revision.both(LAB["asyncio"], tmp_path / "before", "0123456789ab", tmp_path / "now")
    assert (here.name, there.name, there.version_of) == ("asyncio", "asyncio@0123456", "asyncio")
    assert (here.folder, there.folder) == (str(tmp_path / "now"), str(tmp_path / "before"))
    assert here.command == there.command
    assert here.command[:6] == (sys.executable, "-m", "servers", "asyncio", "--loop", "uvloop")
    mine, _ = revision.both(own("mine=./server {port}", 0), tmp_path, "0123456789ab", tmp_path)
    assert mine.command == ("./server", "{port}")
    with pytest.raises(ValueError, match="give its command"):
        revision.both(own("mine=127.0.0.1:7000", 0), tmp_path, "0123456789ab", tmp_path)


SLOW, QUICK = ([verified + place * 100 for place in range(10)] for verified in (50_000, 100_000))


@pytest.mark.parametrize(
    ("now", "before", "answer", "status"),
    [
        (SLOW, QUICK, "worse", WORSE),
        (QUICK, SLOW, "better", 0),
        (QUICK, QUICK, "equivalent", 0),
        (SLOW[:3], QUICK, "too few runs", UNTOLD),
        ([50_000, 150_000] * 5, QUICK, "can't tell", UNTOLD),
    ],
)
def test_the_answer_is_in_words_and_status(now: list[int], before: list[int], answer: str, status: int) -> None:
    pairs = of_revisions(measured_since(now, before))
    lines = differences.of_revisions(pairs).splitlines()
    assert [line.partition(":")[0] for line in lines] == [answer, answer]
    assert "asyncio, saturate, 50 clients: requests/s" in lines[0]
    assert "CPU per request" in lines[1]
    assert _of_revisions(pairs) == status


def test_what_neither_version_has_is_left_out() -> None:
    assert of_revisions(measured_since(QUICK, QUICK, served=1)) == ()


def test_where_every_run_is_excluded_nothing_is_told() -> None:
    pairs = of_revisions(measured_since(QUICK, QUICK, load_warnings=[[warning("stolen-time")]] * 10))
    assert [line.partition(":")[0] for line in differences.of_revisions(pairs).splitlines()] == ["too few runs"] * 2
    assert _of_revisions(pairs) == UNTOLD


@pytest.mark.parametrize(
    ("now", "changes", "untold"),
    [
        (10, {}, False),
        (9, {}, True),
        (10, {"load_warnings": [[warning("stolen-time")]] * 10}, True),
        (10, {"served": 1}, True),
    ],
)
def test_too_few_valid_runs_tell_nothing(now: int, changes: dict[str, Any], untold: bool) -> None:
    found = measured_since(QUICK[:now], QUICK, **changes)
    assert is_untold(found, of_revisions(found)) is untold


def test_few_runs_are_no_verdict_if_asked() -> None:
    found = measured_since(QUICK[:3], QUICK[:3])
    assert not is_untold(found, of_revisions(found))
    assert not is_untold(comparison(*several_runs(3, "asyncio")), ())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--against", "no-such-thing"], "--against: "),
        (["--build", "make"], "--build is for --against REVISION"),
        (["--repository", "."], "--repository is for --against REVISION"),
        (["--against", "HEAD", "--repository", "."], "give its command by --server alone"),
        (
            ["--against", "HEAD", "--repository", ".", "--server", "a=./a {port}", "--variants", "asyncio"],
            "give its command by --server alone",
        ),
        (["--thorough", "--against", "HEAD"], "--thorough sets its own --against"),
        (["--against", "HEAD", "--server-cores", "1"], "both revisions the same cores: choose them by --cores"),
        (["--rates", "100,200", "--sizes", "64", "128"], "rates are of one load: name one scenario that has rates"),
        (["--scenarios", "rates", "database"], "rates are of one load: name one scenario that has rates"),
        (["--against", "HEAD", "--build", "exit 4", "--variants", "asyncio"], "--build: 'exit 4' ended with 4"),
    ],
)
def test_a_bad_choice_is_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *options, "--output", str(tmp_path / "results")]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert said in error


def compared(*options: str) -> subprocess.CompletedProcess[str]:
    """Run a comparison of real servers, with a stub for Locust."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.load.compare", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_revision_is_measured_beside_this_one(tmp_path: Path) -> None:
    """Real servers of both, and a stub for Locust."""
    chosen = ("--against", "HEAD", "--variants", "asyncio", "--clients", "2", "--seconds", "1", "--repeats", "1")
    done = compared(*chosen, "--output", str(tmp_path / "results"))
    assert done.returncode == UNTOLD, done.stderr
    assert "too few runs: asyncio, saturate, 2 clients: requests/s" in done.stdout
    found = json.loads((tmp_path / "results" / "latest" / "compare.json").read_text())
    assert {each["candidate"].partition("@")[0]: each["status"] for each in found["runs"]} == {"asyncio": "done"}
    there = Path(found["plan"]["candidates"][1]["folder"])
    assert there != ROOT
    assert not there.exists(), "the other revision's files are removed"


ECHO = """
import socketserver, sys

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"OK" + line[4:])

class Server(socketserver.ThreadingTCPServer):
    request_queue_size, daemon_threads = 1024, True

Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def test_another_repositorys_server_is_measured(root: Path, tmp_path: Path) -> None:
    """Its command and its build run in its own folders, not in the lab's."""
    (root / "server").write_text(ECHO)
    build = f"{{ echo '#!{sys.executable}'; cat server; }} > built && chmod +x built && pwd >> {tmp_path}/folders"
    commit = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "--all", "-m", "echo"]
    subprocess.run(commit, cwd=root, check=True)
    options = ("--against", "HEAD", "--repository", str(root), "--server", "mine=./built {port}", "--build", build)
    load = ("--clients", "2", "--seconds", "1", "--repeats", "1", "--output", str(tmp_path / "results"))
    done = compared(*options, *load)
    assert done.returncode == UNTOLD, done.stderr
    now, before = (tmp_path / "folders").read_text().split()
    assert (now, Path(before).exists()) == (str(root), False)
    found = json.loads((tmp_path / "results" / "latest" / "compare.json").read_text())
    assert [each["status"] for each in found["runs"]] == ["done", "done"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--against", " "], "argument --against: it is empty; give it a value, or omit it"),
        (["--against", "HEAD", "--build", ""], "argument --build: it is empty; give it a value, or omit it"),
        (["--repository", "/none"], "argument --repository: '/none' is not a folder; name the one that"),
        (["--rates", "2000%"], "argument --rates: '2000%' is neither a rate from 0.01 to 1000000 nor a share up to"),
        (["--rates", "50%,60"], "argument --rates: '50%,60' has rates and shares: choose one kind"),
        (["--rates", "10,10"], "argument --rates: '10,10' has a rate twice"),
        (
            ["--rates", "fast"],
            "argument --rates: 'fast' is neither a rate from 0.01 to 1000000 nor a share",
        ),
    ],
)
def test_a_bad_option_names_itself(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *options])
    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (2, "", 1)
    assert said in error


def test_a_link_out_of_it_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("/etc/hosts")
    subprocess.run(["git", "add", "link"], cwd=root, check=True)
    commit = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "--quiet", "-m", "a link"]
    subprocess.run(commit, cwd=root, check=True)
    with pytest.raises(ValueError, match=r"HEAD can't be written elsewhere: .*link.*; remove such a link"):
        revision.check_out("HEAD", tmp_path / "there", root)


def test_an_earlier_version_gets_the_same_clients(tmp_path: Path) -> None:
    """Of a server that serves one at a time both versions are swept with one client."""
    both = revision.both(LAB["single"], tmp_path, "0123456789ab", tmp_path)
    plan = chosen(1, both, scenarios=["rates"], rates=[100.0])
    assert {(run.candidate, run.workload.clients) for run in plan.runs()} == {("single", 1), ("single@0123456", 1)}


def test_a_build_leaves_nothing_in_the_background(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="ended with 1"):
        revision.build("sleep 60 & echo $! > pid; false", tmp_path)
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    with suppress(psutil.NoSuchProcess):
        assert still_running([psutil.Process(pid)], within=10) == []
