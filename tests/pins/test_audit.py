"""`make audit` as a whole: the pins come first, and neither half hides what the other finds."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VENV = """#!/bin/sh
# A Python that makes no environment, but one that says what was asked of it.
case "$*" in
  "-m venv --clear .venv-audit")
    {made}
    mkdir -p .venv-audit/bin
    printf '#!/bin/sh\\n' >.venv-audit/bin/python
    printf '#!/bin/sh\\necho pip-audit ran\\nexit {found}\\n' >.venv-audit/bin/pip-audit
    chmod +x .venv-audit/bin/*;;
  *) exec {python} "$@";;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with what `make audit` needs of this project, and a pin that ends after the longest notice."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "tests" / "pins", tmp_path / "tests" / "pins", ignore=shutil.ignore_patterns("__pycache__"))
    ends(tmp_path, 365)
    return tmp_path


def ends(project: Path, days: int) -> None:
    """Let the only pin end so many days from now."""
    end = date.today() + timedelta(days=days)
    pin = f'[[pin]]\nname = "x"\nversion = "1"\nwhere = "y"\nread = "z"\nends = {end}\n'
    (project / "tests" / "pins" / "pins.toml").write_text(pin, encoding="utf-8")


def audit(project: Path, made: str = "", found: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it. made: what happens instead of making an environment. found: what pip-audit ends with."""
    python = project / "python"
    python.write_text(VENV.format(made=made, found=found, python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    typed = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    command = ["make", "audit", f"PYTHON={python}"]
    return subprocess.run(command, cwd=project, env=typed, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_wrong_is_status_0(project: Path) -> None:
    done = audit(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("tcplab: 1 versions are pinned")
    assert done.stdout.splitlines()[-1] == "pip-audit ran"


def test_an_ended_support_fails_the_audit(project: Path) -> None:
    ends(project, -2)
    done = audit(project)
    assert done.returncode != 0
    assert "tcplab: x 1 (y): its support ended on" in done.stderr
    assert "pip-audit ran" in done.stdout


@pytest.mark.parametrize("made", ["echo no venv >&2; exit 1", "mkdir .venv-audit; exit 3"])
def test_the_pins_are_reported_without_pip_audit(project: Path, made: str) -> None:
    ends(project, -2)
    done = audit(project, made=made)
    assert done.returncode != 0
    assert "tcplab: x 1 (y): its support ended on" in done.stderr
    assert "pip-audit ran" not in done.stdout


@pytest.mark.parametrize(("days", "warned"), [(365, False), (30, True)])
def test_a_known_vulnerability_fails_the_audit(project: Path, days: int, warned: bool) -> None:
    ends(project, days)
    done = audit(project, found=1)
    assert done.returncode != 0
    assert ("tcplab: warning: x 1 (y)" in done.stderr) == warned
    assert "pip-audit ran" in done.stdout


def test_a_support_that_ends_soon_only_warns(project: Path) -> None:
    ends(project, 30)
    done = audit(project)
    assert done.returncode == 0
    assert "tcplab: warning: x 1 (y)" in done.stderr


def test_a_python_that_is_missing_is_one_line(project: Path) -> None:
    done = subprocess.run(
        ["make", "audit", "PYTHON=./nowhere"], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("tcplab: ./nowhere is missing or older than Python 3.11")
