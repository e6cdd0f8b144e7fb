"""Whether a Python has what a candidate needs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from loadtest.compare.candidates import Candidate
from loadtest.compare.measure.run import ROOT

_PATIENCE: Final = 30.0  # seconds for a few imports

_ASK: Final = """
import sys
if sys.version_info < (3, 11):
    sys.exit("it is older than Python 3.11")
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ImportError:
        sys.exit(f"it lacks {name}")
"""


def path_of(program: str, folder: Path = ROOT) -> str | None:
    """Return where a program is: a path is from a folder on, a name is looked for in PATH. None: nowhere."""
    return shutil.which(folder / program if os.sep in program else program)


def check(some: Iterable[Candidate]) -> None:
    """Raise ValueError with a line if a Python of the lab's candidates does not run, or lacks what they import."""
    needed: dict[str, dict[str, None]] = {}
    for each in some:
        if each.variant and (each.python or each.package):
            modules = needed.setdefault(each.python or sys.executable, {"prometheus_client": None})
            modules |= {each.package: None} if each.package else {}
    for program, modules in needed.items():
        why = _refusal(program, list(modules))
        if why:
            raise ValueError(why)


def _refusal(program: str, modules: list[str]) -> str:
    """Return why a program can't serve, and what to do; "" if it can."""
    path = path_of(program)
    if path is None:
        return f"there is no program {program}: install that Python, or correct its path in --python"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own Python
            [path, "-c", _ASK, *modules], cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} can't be run as a Python ({error}): correct --python"
    if not done.returncode:
        return ""
    said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    if not said.startswith("it lacks "):
        return f"{program} can't serve ({said}): name Python 3.11 or newer in --python"
    missing = said.removeprefix("it lacks ")
    packages = missing if missing == "rloop" else "-r servers/requirements.lock"
    return (
        f"{program} lacks {missing}, which a server needs: {program} -m pip install {packages} (if that is refused,"
        " into a virtual environment of it, whose bin/python you then name in --python)"
    )
