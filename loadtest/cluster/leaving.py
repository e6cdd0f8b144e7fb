"""
Shuts a load process down exactly once, without a traceback.

On SIGTERM Locust shuts down in a separate greenlet. That ends what the main greenlet waits for, which then shuts down
too; the first to finish cut off the other (with a traceback from Python 3.13 on).
"""

import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import gevent
from locust.env import Environment

from loadtest import locust_internals
from loadtest.locust_internals import listen

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LONG: Final = 3600.0


class _Leaving:
    """begun: the process shuts down."""

    begun = False


_LEAVING: Final = _Leaving()


def install() -> None:
    """Handle Ctrl-C in the main greenlet; end a worker that waits for its master on SIGINT and SIGTERM."""
    # Python's own handler would raise KeyboardInterrupt in any greenlet. A shell's background job ignores Ctrl-C.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        gevent.signal_handler(signal.SIGINT, _interrupt)
    locust_internals.hide_interrupt_traceback()
    locust_internals.wrap_connect(_connect_or_leave)


def shut_down_once(environment: Environment) -> None:
    """Let the first shutdown finish, and make every later one wait. Call this after adding all other listeners."""
    listen(environment.events.quitting, _begin_or_wait)  # Locust calls listeners in reverse
    listen(environment.events.quit, _ignore_signals)


def _interrupt() -> None:
    if not _LEAVING.begun:
        _raise_in_main(KeyboardInterrupt())


def _raise_in_main(error: BaseException) -> None:
    gevent.get_hub().handle_system_error(type(error), error)


def _begin_or_wait(**_: object) -> None:
    if _LEAVING.begun:
        _wait_for_the_end()
    _LEAVING.begun = True


def _wait_for_the_end() -> NoReturn:
    """Wait until the first shutdown ends the process, by SystemExit in the main greenlet."""
    while True:
        gevent.sleep(_LONG)


def _ignore_signals(**_: object) -> None:
    """Ignore signals from now on: a signal while the interpreter ends would kill the process."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _connect_or_leave(connect: Callable[[], object]) -> None:
    """Connect to the master; end the worker on SIGTERM meanwhile."""
    handler = gevent.signal_handler(signal.SIGTERM, lambda: _raise_in_main(KeyboardInterrupt()))
    try:
        connect()
    except SystemExit as end:
        # A text is the master's refusal; a number is Locust's exit status of a worker that was stopped.
        sys.exit(end.code if isinstance(end.code, str) else 0)
    finally:
        handler.cancel()
