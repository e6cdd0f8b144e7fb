"""
Which version of the load this is, told by its own sources.

Load processes on several hosts must play the same script and report in the same form. A number that somebody has to
raise would be forgotten; a digest of the sources can't be, and is the same in a checkout and in an image.
"""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def sources(root: Path = ROOT) -> list[Path]:
    """Return what makes a load process: all of loadtest but the comparison, and what it takes from the servers."""
    load, servers = root / "loadtest", root / "servers"
    ours = (path for path in load.rglob("*.py") if "compare" not in path.relative_to(load).parts)
    return sorted([*ours, servers / "variants.py", servers / "wire.py"])


def digest(paths: Iterable[Path], root: Path = ROOT) -> str:
    """Return twelve hexadecimal digits that change with any file's name or text, but not with its line ends."""
    found = hashlib.sha256()
    for path in paths:
        text = path.read_text(encoding="utf-8")  # any line end becomes \n
        found.update(f"{path.relative_to(root).as_posix()}\0{text}\0".encode())
    return found.hexdigest()[:12]


VERSION: Final = f"{version('locust')}+tcplab.{digest(sources())}"
"""Locust's version and the digest: what a worker says of itself to the master."""
