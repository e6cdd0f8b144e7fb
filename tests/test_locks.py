"""What is installed is what was locked: each package by its version and its hash, everywhere."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted(ROOT.glob("*/requirements.lock"))


def locked(lock: Path) -> dict[str, str]:
    """Return each requirement of a lock, by its name: its whole entry in one line."""
    text = re.sub(r"\s*\\\n\s*", " ", lock.read_text(encoding="utf-8"))
    entries = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    return {re.split(r"[=<>~! ;\[]", entry)[0]: entry for entry in entries}


def test_each_room_that_installs_has_a_lock() -> None:
    assert [lock.parent.name for lock in LOCKS] == ["loadtest", "servers", "tests"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.parent.name))
def test_every_package_has_a_version_and_a_hash(lock: Path) -> None:
    entries = locked(lock)
    assert {"prometheus-client", "uvloop"} <= set(entries)
    wrong = [entry for entry in entries.values() if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
    assert wrong == []


def test_the_locks_hold_the_versions_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(each for some in project["optional-dependencies"].values() for each in some)]
    pinned = [each.split(";")[0] for each in asked if "==" in each]
    assert pinned
    everything = " ".join(locked(ROOT / "tests" / "requirements.lock").values())
    assert [each for each in pinned if f"{each} " not in everything] == []


@pytest.mark.parametrize("file", ["Makefile", "servers/Dockerfile"])
def test_nothing_is_installed_but_by_hash(file: str) -> None:
    commands = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if "pip install" in line]
    # Those are tools, for no room.
    commands = [line for line in commands if not re.search(r" (uv|pip-audit)==[\d.]+( && \\)?$", line)]
    assert commands
    assert [line for line in commands if "--require-hashes" not in line] == []


def test_an_environment_that_is_a_link_stays(tmp_path: Path) -> None:
    """Making it anew would empty the one that the link leads to."""
    checkout, theirs = tmp_path / "checkout", tmp_path / "theirs"
    (checkout / "loadtest").mkdir(parents=True)
    theirs.mkdir()
    (theirs / "kept").touch()
    shutil.copy(ROOT / "Makefile", checkout)
    (checkout / "loadtest" / "requirements.lock").touch()
    (checkout / ".venv").symlink_to(theirs)
    done = subprocess.run(
        ["make", ".venv/ready"], cwd=checkout, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert done.stderr.startswith("tcplab: .venv is a link; remove it, or make .venv/ready where it leads\n")
    assert (theirs / "kept").exists()
