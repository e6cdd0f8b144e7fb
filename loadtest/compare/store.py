"""Where results are kept: a folder for each comparison, whose files are always whole."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

RESULT, PAGE, PICTURE = "compare.json", "compare.html", "compare.svg"


class NotWritableError(Exception):
    """Results cannot be kept there; the text says so in one line, with what to do."""


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
                write(folder / RESULT, "{}\n")
                return folder
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotWritableError(
            f"results cannot be kept in {results}: {reason}; make that folder yours, or name another with"
            " --output FOLDER or TCPLAB_RESULTS (in Docker, start it as yourself: TCPLAB_UID=$(id -u))"
        ) from error
    raise NotWritableError(f"results cannot be kept in {results}: {stamp} is there a hundred times")


def write(file: Path, text: str) -> None:
    """Write `text` to `file` so that a reader, or a crash, finds either the old content or the new one."""
    new = file.with_name(f".{file.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `file` as JSON, like `write`."""
    write(file, json.dumps(content, separators=(",", ":")) + "\n")


def point_latest_at(folder: Path) -> None:
    """Make results/latest lead to `folder`. Not every file system has links: without them, there is no `latest`."""
    new = folder.parent / f".latest-{os.getpid()}"
    with suppress(OSError):
        new.symlink_to(folder.name)
        new.replace(folder.parent / "latest")
    with suppress(OSError):
        new.unlink()
