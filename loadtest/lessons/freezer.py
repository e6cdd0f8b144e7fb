"""
Stops a server for a while: python -m loadtest.lessons.freezer PID AFTER SECONDS.

It waits for the server's first client, then for AFTER seconds, and stops the process for SECONDS. It lets the server go
on in any case, also when it is ended itself: a stopped process would not end on SIGTERM.
"""

import signal
import sys
import time
from collections.abc import Sequence
from typing import Final

import psutil

_LOOK: Final = 0.02


def main(arguments: Sequence[str]) -> None:
    """Freeze the server."""
    pid, after, seconds = arguments
    server = psutil.Process(int(pid))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    while not any(each.status == psutil.CONN_ESTABLISHED for each in server.net_connections("tcp")):
        time.sleep(_LOOK)
    freeze(server, float(after), float(seconds))


def freeze(server: psutil.Process, after: float, seconds: float) -> None:
    """Wait, stop the server, wait again, and let it go on."""
    time.sleep(after)
    try:
        server.suspend()  # SIGSTOP
        time.sleep(seconds)
    finally:
        server.resume()  # SIGCONT


if __name__ == "__main__":
    main(sys.argv[1:])
