"""Another revision of this repository, for `compare --against`: its files, and its servers as candidates."""

import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtest.compare.candidates import Candidate

_GREY: Final = "#999999"
_LONGEST: Final = 600.0  # seconds that a build may take


def check_out(revision: str, into: Path, root: Path) -> str:
    """
    Write a revision's files into a folder; return its commit, shortened.

    root: the checkout that has it. ValueError with a line if there is no such revision.
    """
    commit = _git(root, "rev-parse", "--verify", "--short=12", "--end-of-options", f"{revision}^{{commit}}")
    packed = _git(root, "archive", commit.decode().strip())
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")
    return commit.decode().strip()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)  # noqa: S603, S607
    except FileNotFoundError:
        raise ValueError("--against needs git: install it") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise ValueError(f"--against: {why[-1]}") from None
    return done.stdout


def build(command: str, folder: Path) -> None:
    """Run a command line in a checkout; ValueError with a line if it fails."""
    try:
        done = subprocess.run(  # noqa: S602 - the user's own command line
            command, shell=True, cwd=folder, capture_output=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"--build: {command!r} took over {_LONGEST:.0f} s in {folder}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        why = f": {said[-1]}" if said else ""
        raise ValueError(f"--build: {command!r} ended with {done.returncode} in {folder}{why}")


def both(candidate: Candidate, before: Path, commit: str, now: Path) -> tuple[Candidate, Candidate]:
    """
    Return a candidate as it is in this checkout, and as it was before: started alike, by the same command.

    before, now: the folders. ValueError if it already runs, and so has one version only.
    """
    if candidate.address:
        raise ValueError(f"--against can't start {candidate.name} at {candidate.address}: give its command")
    here = replace(candidate, variant="", options=(), command=_command(candidate), folder=str(now))
    there = replace(
        here,
        name=f"{candidate.name}@{commit[:7]}",
        title=f"{candidate.title} at {commit[:7]}",
        sentence=f"The same server at commit {commit}.",
        colour=_GREY,
        folder=str(before),
        version_of=candidate.name,
    )
    return here, there


def _command(candidate: Candidate) -> tuple[str, ...]:
    if candidate.command:
        return candidate.command
    loopback = ("--host", "127.0.0.1", "--port", "{port}", "--metrics-host", "127.0.0.1", "--metrics-port", "0")
    return (sys.executable, "-m", "servers", candidate.variant, *candidate.options, *loopback)
