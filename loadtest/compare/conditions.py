"""The lab's servers under conditions of their own: event loops, switch intervals, Pythons, numbers of cores."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.compare.candidates import LAB, Candidate, on_loop
from loadtest.compare.measure.run import ROOT
from loadtest.compare.plan import cores as in_words
from servers.variants import by_name

LOOPS: Final = ("uvloop", "asyncio", "rloop")  # as the servers' --loop takes them
USUAL_INTERVAL: Final = 0.005  # Python's own switch interval, in seconds

COLOURS: Final = ("#44AA99", "#CC6677", "#999933", "#AA4499", "#6699CC", "#997700", "#BB5566", "#7F8C2D")
"""For those made here, in order (most of them from Paul Tol's colour schemes)."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,15}")
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


class Python(NamedTuple):
    """An interpreter. name: for a reader. program: a path, or what the shell's PATH has."""

    name: str
    program: str


def python(text: str) -> Python:
    """Return the interpreter from "NAME=PROGRAM"; ValueError with a line on a bad one."""
    name, found, program = text.partition("=")
    if not found or not _NAME.fullmatch(name) or not program.strip():
        raise ValueError(
            f"{text!r} is not a Python: give NAME=PROGRAM, such as 3.14t=python3.14t; a name has up to 16 of a-z, 0-9,"
            " . and -"
        )
    return Python(name, program.strip())


def under(
    some: Iterable[Candidate],
    *,
    loops: Sequence[str] = (),
    intervals: Sequence[float] = (),
    pythons: Sequence[Python] = (),
    cores: Sequence[int] = (),
) -> list[Candidate]:
    """
    Return the lab's servers under each of these conditions that concerns them; without any, as they are.

    A loop concerns those with an event loop, a switch interval those that serve from several threads, a Python and a
    number of cores all. ValueError with a line if two Pythons have one name.
    """
    names = [each.name for each in pythons]
    if len(set(names)) < len(names):
        raise ValueError(f"two Pythons have the same name: {', '.join(names)}")
    usual: Sequence[Python | None] = [None]
    every = product(some, loops or [""], intervals or [0.0], pythons or usual, cores or [0])
    made = (
        _on_cores(_on_python(_at_interval(_on_loop(each, loop), interval), python), number)
        for each, loop, interval, python, number in every
    )
    free = cycle(COLOURS)
    found = {each.name: each for each in made}.values()
    return [each if each.name in LAB else replace(each, colour=next(free)) for each in found]


def _on_loop(candidate: Candidate, loop: str) -> Candidate:
    if not loop or not candidate.loop:
        return candidate
    usual = LAB[candidate.variant]
    made = on_loop(usual, loop)
    return usual if loop == "uvloop" else LAB.get(made.name, made)


def _at_interval(candidate: Candidate, seconds: float) -> Candidate:
    variant = by_name(candidate.variant)
    if not seconds or variant.connection != "blocking" or variant.clients == 1:
        return candidate
    made = replace(candidate, options=(*candidate.options, "--switch-interval", f"{seconds:g}"))
    told = f"{seconds * 1e3:g} ms"
    return made if seconds == USUAL_INTERVAL else _apart(made, told.replace(" ", ""), f"switch interval {told}")


def _on_python(candidate: Candidate, python: Python | None) -> Candidate:
    if not python:
        return candidate
    return _apart(replace(candidate, python=python.program), python.name, f"Python {python.name}")


def _on_cores(candidate: Candidate, number: int) -> Candidate:
    if not number:
        return candidate
    # Its own default would be the same; so the result names it.
    workers = ("--workers", str(number)) if "workers" in by_name(candidate.variant).options else ()
    told = in_words(number)
    made = replace(candidate, cores=number, options=(*candidate.options, *workers))
    return _apart(made, told.replace(" ", "-"), told)


def _apart(candidate: Candidate, ending: str, condition: str) -> Candidate:
    """Return a candidate told apart by a condition in its name, its title and its label."""
    return replace(
        candidate,
        name=f"{candidate.name}-{ending}",
        title=f"{candidate.title}, {condition}",
        sentence=f"{candidate.sentence} {condition[0].upper()}{condition[1:]}.",
        condition=f"{candidate.condition}, {condition}" if candidate.condition else condition,
    )


def path_of(program: str, folder: Path = ROOT) -> str | None:
    """Return where a program is: a path is from a folder on, a name is looked for in PATH. None: nowhere."""
    return shutil.which(folder / program if os.sep in program else program)


def check(some: Iterable[Candidate]) -> None:
    """Raise ValueError with a line if a Python of the lab's candidates does not run, or lacks what they import."""
    needed: dict[str, list[str]] = {}
    for each in some:
        if each.variant:
            modules = needed.setdefault(each.python or sys.executable, ["prometheus_client"])
            modules += [] if each.loop in {"", "asyncio", *modules} else [each.loop]
    for program, modules in needed.items():
        _ask(program, modules)


def _ask(program: str, modules: list[str]) -> None:
    """Raise ValueError that says why a program can't serve, and what to do, unless it can."""
    path = path_of(program)
    if path is None:
        raise ValueError(f"there is no program {program}: install that Python, or correct its path in --python")
    try:
        done = subprocess.run(  # noqa: S603 - the user's own Python
            [path, "-c", _ASK, *modules], cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{program} can't be run as a Python ({error}): correct --python") from None
    if not done.returncode:
        return
    said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    if not said.startswith("it lacks "):
        raise ValueError(f"{program} can't serve ({said}): name Python 3.11 or newer in --python")
    missing = said.removeprefix("it lacks ")
    packages = missing if missing == "rloop" else "-r servers/requirements.lock"
    raise ValueError(
        f"{program} lacks {missing}, which a server needs: {program} -m pip install {packages} (if that is refused,"
        " into a virtual environment of it, whose bin/python you then name in --python)"
    )
