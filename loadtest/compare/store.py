"""Keeps results: a folder for each comparison, whose files are written whole."""

import gzip
import json
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtest import atomic_write
from loadtest.compare import schema

RESULT, PAGE, PICTURE, MARKDOWN = "compare.json", "compare.html", "compare.svg", "compare.md"


class NotWritableError(Exception):
    """Results cannot be kept there; the text says why, and what to do."""


def shown(path: Path) -> Path:
    """Return a path relative to the current directory if possible: a container's full path is unknown outside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def prepare(results: Path, now: datetime) -> Path:
    """
    Create a folder in `results`, named after the time, and return it; NotWritableError if that is impossible.

    It writes a file to make sure: a file system may be full, or mounted read-only.
    """
    stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
    with _writing(results):
        results.mkdir(parents=True, exist_ok=True)
        for name in (stamp, *(f"{stamp}-{number}" for number in range(2, 100))):
            with suppress(FileExistsError):
                folder = results / name
                folder.mkdir()
                atomic_write.write(folder / RESULT, "{}\n")
                return folder
    raise NotWritableError(f"results cannot be kept in {shown(results)}: {stamp} exists a hundred times")


def try_out(results: Path) -> None:
    """Create `results`, and write a file there that is gone at once; NotWritableError if that is impossible."""
    with _writing(results):
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results) as file:
            file.write(b"{}")


@contextmanager
def _writing(results: Path) -> Iterator[None]:
    """Raise NotWritableError for an OSError."""
    try:
        yield
    except OSError as error:
        reason = "it is not a folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
        raise NotWritableError(
            f"results cannot be kept in {shown(results)}: {reason}; make that folder yours, or name another with"
            " --output FOLDER or TCPLAB_RESULTS (in Docker, start it as yourself: TCPLAB_UID=$(id -u))"
        ) from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write `content` to `file` as JSON, like atomic_write.write."""
    atomic_write.write(file, json.dumps(content, separators=(",", ":")) + "\n")


def point_latest_at(folder: Path) -> None:
    """Link results/latest to `folder`, if the file system has links."""
    new = folder.parent / f".latest-{os.getpid()}"
    with suppress(OSError):
        new.symlink_to(folder.name)
        new.replace(folder.parent / "latest")
    with suppress(OSError):
        new.unlink()


def read(file: Path) -> dict[str, Any]:
    """Return a comparison's result, also packed (.gz); ValueError with a line that says where and why if it is none."""
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
        found = json.loads(text, object_pairs_hook=_object)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it can't be unpacked: {error}") from error
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8 (byte {error.start:,})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply for a result of a comparison") from error
    except ValueError as error:
        raise ValueError(f"it is incomplete, or not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError("it is not a comparison's result")  # noqa: TRY004 - a file's content
    for where, each in _objects(found):
        if isinstance(each, _Ambiguous):
            raise ValueError(f"{schema.place((*where, each.key))}: it is there twice")  # noqa: TRY004
    schema.check(found)
    return found


class _Ambiguous(dict[str, Any]):
    """An object that has a `key` twice."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    [(key, _), *_] = Counter(key for key, _ in pairs).most_common(1)
    ambiguous = _Ambiguous(found)
    ambiguous.key = key
    return ambiguous


def _objects(found: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield every object in a document with its path."""
    ahead: list[tuple[tuple[str | int, ...], Any]] = [((), found)]
    while ahead:
        where, each = ahead.pop()
        if isinstance(each, dict):
            yield where, each
        inside = each.items() if isinstance(each, dict) else enumerate(each)
        ahead += [((*where, key), value) for key, value in inside if isinstance(value, dict | list)]
