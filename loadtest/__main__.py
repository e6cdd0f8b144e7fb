"""The commands of the lab: python -m loadtest compare, report, publish, check, lesson."""

import os
import signal
import sys
from importlib.util import find_spec

from loadtest.lab import streams

if __name__ == "__main__":
    # The imports below take a moment, in which Ctrl-C would end in a traceback.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    streams.prepare()
    for package in ("locust", "pydantic"):
        if find_spec(package) is None:
            sys.exit(
                f"tcplab: this Python has no {package}; run make compare, or .venv/bin/python -m loadtest after it"
            )

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loadtest.check.command import check
from loadtest.compare.command import compare, draw
from loadtest.compare.publish.command import publish
from loadtest.lab.processes import INTERRUPTED
from loadtest.lessons.command import lesson

COMMANDS: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {
    "compare": compare,
    "report": draw,
    "publish": publish,
    "check": check,
    "lesson": lesson,
}


def main(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names; return the exit status."""
    name = arguments[0] if arguments else ""
    if name in COMMANDS:
        return COMMANDS[name](arguments[1:])
    sys.stderr.write(
        f"tcplab: {name or 'nothing'} is not a command; choose from {', '.join(COMMANDS)} (each has --help)\n"
    )
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # outside a command's own handling
        sys.exit(INTERRUPTED)
