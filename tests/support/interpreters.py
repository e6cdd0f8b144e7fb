"""A free-threaded Python, if the machine has one."""

import functools
import os
import subprocess
from typing import Final

from tests.support.needs import FREE_THREADED, provided

VARIABLE: Final = "TCPLAB_FREE_THREADED"
"""The environment variable that names it."""

PROBE: Final = """
import sys
import prometheus_client
sys.exit("it has a GIL" if getattr(sys, "_is_gil_enabled", lambda: True)() else None)
"""


def free_threaded() -> str:
    """Return the path of a Python that runs without a GIL and has what the servers need; without one skip the test."""
    path = os.environ.get(VARIABLE, "")
    provided(FREE_THREADED, _missing(path))
    return path


@functools.cache
def _missing(path: str) -> str:
    if not path:
        return f"{VARIABLE} names none"
    try:
        done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return f"{path}: {done.stderr.strip().splitlines()[-1]}" if done.returncode else ""
