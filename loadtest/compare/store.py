"""Keeps results: a folder for each comparison, whose files are written whole."""

import gzip
import json
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtest import atomic_write
from loadtest.compare import schema

RESULT, PAGE, PICTURE, MARKDOWN = "compare.json", "compare.html", "compare.svg", "compare.md"


def shown(path: Path) -> Path:
    """Return a path relative to the current directory if possible: a container's full path is unknown outside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def prepare(results: Path, now: datetime) -> Path:
    """Create a folder in `results`, named after the time, and return it; ValueError if nothing can be kept there."""
    try_out(results)
    stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
    for name in (stamp, *(f"{stamp}-{number}" for number in range(2, 100))):
        try:
            (results / name).mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise _unkept(results, error) from error
        return results / name
    raise ValueError(f"results cannot be kept in {shown(results)}: {stamp} exists a hundred times")


def try_out(results: Path) -> None:
    """Create `results`, and write a file there that is gone at once; ValueError with what to do if it can't be."""
    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results) as file:  # a file system may be full, or mounted read-only
            file.write(b"{}")
    except OSError as error:
        raise _unkept(results, error) from error


def _unkept(results: Path, error: OSError) -> ValueError:
    reason = "it is not a folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
    return ValueError(
        f"results cannot be kept in {shown(results)}: {reason}; make that folder yours, or name another with"
        " --output FOLDER or TCPLAB_RESULTS (in Docker, start it as yourself: TCPLAB_UID=$(id -u))"
    )


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
        found: dict[str, Any] = json.loads(text, object_pairs_hook=_object)
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
    schema.check(found)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"{twice!r} is twice in an object")
    return found
