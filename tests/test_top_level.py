"""The repository's top level has the rooms, and beside them only what tools and habit demand."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"docker-compose.yml", "servers", "loadtest", "grafana", "prometheus", "tests", "README.md"}
BESIDE = {"Makefile", "pyproject.toml", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
HIDDEN = {".ci", ".dockerignore", ".env", ".gitignore"}


def test_nothing_else_is_committed_there() -> None:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("it is no clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert {name.partition("/")[0] for name in listed.split("\0") if name} == ROOMS | BESIDE | HIDDEN
