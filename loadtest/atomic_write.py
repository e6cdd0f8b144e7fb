"""Writes a file whole or not at all."""

import os
from pathlib import Path


def write(file: Path, text: str) -> None:
    """Replace the content of `file` in one step; OSError if that fails (a full disk): the old content stays."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
