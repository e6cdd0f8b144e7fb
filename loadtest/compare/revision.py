"""Another revision of a repository, for `compare --against`: its files, and its servers as candidates."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtest.compare.candidates import Candidate

_LONGEST: Final = 600.0  # seconds that a build may take


def check_out(revision: str, into: Path, root: Path) -> str:
    """Write the files of `root`, a folder in a repository, as of a revision; return its commit, ValueError if none."""
    named = _git(root, "rev-parse", "--verify", "--short=12", "--end-of-options", f"{revision}^{{commit}}")
    commit = named.decode().strip()
    try:
        with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", commit))) as archive:
            archive.extractall(into, filter="data")
    except tarfile.FilterError as error:
        raise ValueError(f"--against: {revision} can't be written elsewhere: {error}; remove such a link") from None
    except OSError as error:
        raise ValueError(
            f"--against: {revision} can't be written to {into}: {error.strerror}; free space there"
        ) from None
    return commit


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)  # noqa: S603, S607
    except FileNotFoundError:
        raise ValueError("--against needs git: install it") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise ValueError(f"--against: git knows no such revision ({why[-1]}); name a commit, branch or tag") from None
    return done.stdout


def build(command: str, folder: Path) -> None:
    """Run a command line in a checkout; ValueError with a line if it fails."""
    with tempfile.TemporaryFile() as output:
        shell = subprocess.Popen(  # noqa: S602 - the user's own command line
            command, shell=True, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = shell.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            raise ValueError(f"--build: {command!r} took over {_LONGEST:.0f} s in {folder}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # what it may have left in the background
            shell.wait()
        output.seek(0)
        said = output.read().decode(errors="replace").strip().splitlines()
    if status:
        # A compiler's first error, because its last line is seldom one.
        why = next((f": {line}" for line in said if "error:" in line), f": {said[-1]}" if said else "")
        raise ValueError(f"--build: {command!r} ended with {status} in {folder}{why}")


def both(candidate: Candidate, before: Path, commit: str, now: Path) -> tuple[Candidate, Candidate]:
    """Return a candidate in each folder, started alike; ValueError if it already runs, and so has one version only."""
    if candidate.address:
        raise ValueError(f"--against can't start {candidate.name} at {candidate.address}: give its command")
    loopback = ("--host", "127.0.0.1", "--port", "{port}", "--metrics-host", "127.0.0.1", "--metrics-port", "0")
    labs = (sys.executable, "-m", "servers", candidate.variant, *candidate.options, *loopback)
    here = replace(candidate, variant="", options=(), command=candidate.command or labs, folder=str(now))
    there = replace(
        here,
        name=f"{candidate.name}@{commit[:7]}",
        title=f"{candidate.title} at {commit[:7]}",
        sentence=f"The same server at commit {commit}.",
        colour="#999999",  # grey
        folder=str(before),
        version_of=candidate.name,
    )
    return here, there
