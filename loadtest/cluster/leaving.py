"""
Shuts a load process down exactly once, without a traceback.

On SIGTERM Locust shuts down in a separate greenlet. That ends what the main greenlet waits for, which then shuts down
too; the first to finish cut off the other (with a traceback from Python 3.13 on).
"""

import signal
import sys
from collections.abc import Callable
from typing import Final

import gevent
from gevent.lock import Semaphore
from locust.env import Environment

from loadtest import locust_internals

_LONG: Final = 3600.0

_SHUTDOWN: Final = Semaphore()
"""The first shutdown takes it. Every later one waits until the first ends the process."""


def install() -> None:
    """Handle Ctrl-C in the main greenlet; end a worker that waits for its master on SIGINT and SIGTERM."""
    # Python's own handler would raise KeyboardInterrupt in any greenlet. A shell's background job ignores Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        gevent.signal_handler(signal.SIGINT, _interrupt)
    locust_internals.wrap_connect(_connect_or_leave)


def shut_down_once(environment: Environment) -> None:
    """Let the first shutdown finish, and make every later one wait. Call this after adding all other listeners."""
    # Locust calls listeners in reverse. With a timeout gevent never finds that this waits for nothing.
    environment.events.quitting.add_listener(lambda **_: _SHUTDOWN.acquire(timeout=_LONG))
    environment.events.quit.add_listener(_ignore_signals)


def _interrupt() -> None:
    if not _SHUTDOWN.locked():
        _interrupt_main()


def _interrupt_main() -> None:
    gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())


def _ignore_signals(**_: object) -> None:
    """Ignore signals from now on: a signal while the interpreter ends would kill the process."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)


def _connect_or_leave(connect: Callable[[], object]) -> None:
    """Connect to the master; end the worker on SIGTERM meanwhile."""
    handler = gevent.signal_handler(signal.SIGTERM, _interrupt_main)
    try:
        connect()
    except SystemExit as end:
        # A text is the master's refusal; a number is Locust's exit status of a worker that was stopped.
        sys.exit(end.code if isinstance(end.code, str) else 0)
    finally:
        handler.cancel()
