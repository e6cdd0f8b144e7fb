"""The gate for pull requests: what its workflow may do, and its own steps, run in a repository of its own."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.compare import store
from tests.support.gate import SERVER, SHELL, WORKFLOW, Gate, steps
from tests.support.needs import COMPILER, provided


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Make a runner with the lab on it."""
    provided(COMPILER, "" if shutil.which("gcc") else "there is no gcc")
    folder = tmp_path_factory.mktemp("gate")
    yield Gate(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_pull_requests_code_gets_no_rights(workflow: dict[Any, Any]) -> None:
    assert workflow[True] == "pull_request", "YAML reads `on` as true"
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert "permissions" not in job
    [checkout] = [step for step in job["steps"] if "uses" in step]
    assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", checkout["uses"])
    assert checkout["with"]["persist-credentials"] is False
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")


def test_no_step_has_anothers_text_in_it(workflow: dict[Any, Any]) -> None:
    """Values come by the environment, so that none can become a command."""
    assert [step for step in steps() if "${{" in step] == []
    [job] = workflow["jobs"].values()
    assert job["defaults"]["run"]["shell"] == "bash"


@pytest.mark.parametrize("missing", ["LAB", "LAB_COMMIT"])
def test_a_value_that_is_not_set_is_named(missing: str, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(tmp_path), "LAB": str(tmp_path), "LAB_COMMIT": "HEAD"}
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    done = subprocess.run(
        [*SHELL, steps()[0]], env=environment | {missing: ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"{missing}: set it under env" in done.stderr


@pytest.mark.measures
def test_an_equal_pull_request_isnt_worse(gate: Gate) -> None:
    """On a machine that others disturb there may be too few runs for a verdict, which the gate says, and fails."""
    judged = gate.judge(SERVER, SERVER)
    title, *_ = judged.summary.splitlines()
    said = {0: {"## Not worse", "## Can't tell"}, 1: {"## Not measured (exit status 1)"}}
    assert title in said[judged.status], judged
    assert ("**Too few runs: requests/s, CPU per request.**" in judged.summary) == (judged.status == 1)
    found = store.read(gate.result)
    assert {run["status"] for run in found["runs"]} == {"done"}
    assert len(found["runs"]) >= 20
    assert {run["candidate"].partition("@")[0] for run in found["runs"]} == {"server"}
    if judged.status == 0:
        assert "times what it was" in judged.summary
        assert re.search(
            r"^      CPU per request .*\[?-*o-*\]?.* (equivalent|can't tell|better)$", judged.summary, re.M
        )


@pytest.mark.measures
def test_a_server_that_doesnt_build_fails(gate: Gate) -> None:
    judged = gate.judge(SERVER, SERVER.replace("int main(", "int main[("))
    assert judged.status == 2
    title, _, why, *_ = judged.summary.splitlines()
    assert title == "## Not measured (exit status 2)"
    assert re.match(r"    tcplab: --build: 'gcc .*' ended with 1 in .*workspace: server.c:\d+:\d+: error: ", why)
    assert why.strip() in judged.said


@pytest.mark.measures
def test_a_server_that_doesnt_start_fails(gate: Gate) -> None:
    judged = gate.judge(SERVER, SERVER.replace("listen(listener, 1024)", "1"))
    assert judged.status == 1
    title, *_ = judged.summary.splitlines()
    assert title == "## Not measured (exit status 1)"
    assert "**Too few runs: requests/s, CPU per request.**" in judged.summary
    assert "server-server does not serve" in judged.summary
