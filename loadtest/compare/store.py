"""Where results are kept: a folder for each comparison, whose files are always whole."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from loadtest import whole

RESULT, PAGE, PICTURE, MARKDOWN = "compare.json", "compare.html", "compare.svg", "compare.md"

SCHEMA: Final = 2
"""Of the result; loadtest/compare/README.md says what is in it."""


class NotWritableError(Exception):
    """Results cannot be kept there; the text says so in one line, with what to do."""


def shown(path: Path) -> Path:
    """
    Return a path as a person can use it: from the current directory on, if it lies there.

    In the container that directory stands for the checkout, and the whole path exists nowhere else.
    """
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def prepare(results: Path, now: datetime) -> Path:
    """
    Make a new folder in `results`, named after the time, and return it; NotWritableError if that is impossible.

    That it can be written to is tried, not guessed: a folder may be full, or mounted without leave to write.
    """
    stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
    try:
        results.mkdir(parents=True, exist_ok=True)
        for name in (stamp, *(f"{stamp}-{number}" for number in range(2, 100))):
            with suppress(FileExistsError):
                folder = results / name
                folder.mkdir()
                whole.write(folder / RESULT, "{}\n")
                return folder
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotWritableError(
            f"results cannot be kept in {shown(results)}: {reason}; make that folder yours, or name another with"
            " --output FOLDER or TCPLAB_RESULTS (in Docker, start it as yourself: TCPLAB_UID=$(id -u))"
        ) from error
    raise NotWritableError(f"results cannot be kept in {shown(results)}: {stamp} is there a hundred times")


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `file` as JSON, like whole.write."""
    whole.write(file, json.dumps(content, separators=(",", ":")) + "\n")


def point_latest_at(folder: Path) -> None:
    """Make results/latest lead to `folder`. Not every file system has links: without them, there is no `latest`."""
    new = folder.parent / f".latest-{os.getpid()}"
    with suppress(OSError):
        new.symlink_to(folder.name)
        new.replace(folder.parent / "latest")
    with suppress(OSError):
        new.unlink()


def read(file: Path) -> dict[str, Any]:
    """Return the result of a comparison; ValueError or OSError, with a line that says why, if it is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"it is not whole, or no JSON ({error})") from error
    if not isinstance(found, dict) or found.get("kind") != "comparison":
        raise ValueError("it is no result of a comparison")
    if found.get("schema") != SCHEMA:
        raise ValueError(
            f"it has schema {found.get('schema')}, and this version of the lab reads {SCHEMA}; measure again"
        )
    missing = [name for name in ("plan", "cells", "machine", "command", "complete", "doubts") if name not in found]
    if missing:
        raise ValueError(f"it is not whole: {', '.join(missing)} is missing")
    return found
