"""Files that are always whole."""

import os
from pathlib import Path


def write(file: Path, text: str) -> None:
    """
    Write `text` to `file` so that a reader, or a crash, finds either the old content or the new one.

    OSError if it can't be written (the disk is full, say): nothing half written is left then.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with new.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
