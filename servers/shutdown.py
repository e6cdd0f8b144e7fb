"""SIGTERM and SIGINT: the first ends what has begun in order, a second at once; and nothing outlasts the grace."""

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Final

from servers.connections.listener import Listener

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})

PATIENCE: Final = 0.25
"""The share of the grace in which clients may go on sending: the rest is for the work in hand, and to end in order."""

MOMENT: Final = 0.2
"""Seconds within which SIGTERM and SIGINT are one wish: a terminal sends one, and who runs us passes on the other."""


def stop_on_signals(listener: Listener, grace: float) -> None:
    """
    Stop in order at the first signal, and whatever happens after the grace; a second signal ends at once.

    Call it before any thread is started: threads inherit that the signals are blocked. The kernel delivers a signal to
    any thread that lets it, and Python runs handlers in the main thread alone, which may sit in accept() meanwhile and
    hear of nothing. Blocked everywhere, they wait for the one thread that asks for them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)
    threading.Thread(target=_watch, args=(listener, grace), name="signals", daemon=True).start()


def _watch(listener: Listener, grace: float) -> None:
    first = signal.sigwait(ENDING)
    listener.stop(PATIENCE * grace)
    for worker in listener.workers:
        with suppress(ProcessLookupError):  # all have ended
            os.kill(worker, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {first})  # in this thread: the next one ends the process
    time.sleep(min(MOMENT, grace))
    for other in signal.sigpending() & ENDING:
        signal.sigwait({other})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if listener.workers:  # each has a grace of its own; this process ends after them, or at a second signal
        threading.Event().wait()
    time.sleep(max(grace - MOMENT, 0))
    with suppress(OSError):  # nobody reads it
        os.write(2, f"gave up on {len(listener.clients)} clients after the grace of {grace:g} s\n".encode())
    os._exit(0)
