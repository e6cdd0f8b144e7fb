"""
How a load process ends: once, whatever asks for it, and without a traceback.

Locust shuts down in a greenlet of its own on SIGTERM, and in the main one when what that waits for has ended. The first
ends what the second waits for, so that there were two shutdowns at once, and the end of one cut off the other (with a
traceback from Python 3.13 on).
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
    """Hear Ctrl-C at once, in the main greenlet; a worker that still waits for its master ends by either signal."""
    # Python's own handler would raise KeyboardInterrupt in whatever greenlet happens to run. A shell's background job
    # is started deaf to Ctrl-C, and stays so.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        gevent.signal_handler(signal.SIGINT, _interrupt)
    locust_internals.hide_interrupt_traceback()
    locust_internals.wrap_connect(_connect_or_leave)


def shut_down_once(environment: Environment) -> None:
    """Have the first shutdown go on to its end, and every later one wait for that. Called after all other listeners."""
    listen(environment.events.quitting, _begin_or_wait)  # they are called in reverse
    listen(environment.events.quit, _hear_no_more)


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
    """Wait until the shutdown that is under way ends the process, by SystemExit in the main greenlet."""
    while True:
        gevent.sleep(_LONG)


def _hear_no_more(**_: object) -> None:
    """Ignore signals from here on: only the interpreter's own end is left, in which one would kill the process."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _connect_or_leave(connect: Callable[[], object]) -> None:
    """Connect to the master; let a worker go that waits for it."""
    told = gevent.signal_handler(signal.SIGTERM, lambda: _raise_in_main(KeyboardInterrupt()))
    try:
        connect()
    except SystemExit as end:
        # A text is the master's refusal; a number is Locust's for a worker that was told to end.
        sys.exit(end.code if isinstance(end.code, str) else 0)
    finally:
        told.cancel()
