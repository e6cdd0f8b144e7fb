"""Another version of the load."""

import shutil
from pathlib import Path

from loadtest.cluster.compatibility import ROOT


def another_version(folder: Path) -> Path:
    """Copy the load and the servers into `folder`, and change one line of the load's script; return the folder."""
    for room in ("loadtest", "servers"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("results", "__pycache__"))
    script = folder / "loadtest" / "client" / "script.py"
    script.write_text(script.read_text() + "\nOF_ANOTHER_VERSION = True\n")
    return folder
