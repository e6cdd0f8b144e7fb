"""SIGTERM and SIGINT: the first lets requests finish, a second ends the process at once; the grace bounds both."""

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Final

from servers.connections.listener import Listener

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})

PATIENCE: Final = 0.25
"""Share of the grace in which clients may still send; the rest is for finishing their requests."""

MOMENT: Final = 0.2
"""Seconds within which SIGTERM and SIGINT count as one: a terminal sends one, and a parent process adds the other."""


def stop_on_signals(listener: Listener, grace: float) -> None:
    """
    Stop in order at the first signal, but end after the grace in any case; end at once at a second signal.

    Call it before any thread starts: threads inherit the blocked signals. Python runs handlers in the main thread only,
    and the kernel may deliver the signal to another thread while the main one blocks in accept(). Blocked in all
    threads, signals wait for the one thread that calls sigwait().
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)
    threading.Thread(target=_watch, args=(listener, grace), name="signals", daemon=True).start()


def _watch(listener: Listener, grace: float) -> None:
    first = signal.sigwait(ENDING)
    listener.stop(PATIENCE * grace)
    for worker in list(listener.workers):
        with suppress(ProcessLookupError):  # it has ended
            os.kill(worker, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {first})  # in this thread: the next one ends the process
    time.sleep(min(MOMENT, grace))
    for other in signal.sigpending() & ENDING:
        signal.sigwait({other})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if listener.workers:  # each has its own grace; this process ends after them or at a second signal
        threading.Event().wait()
    time.sleep(max(grace - MOMENT, 0))
    with suppress(OSError):  # stderr may be closed
        os.write(2, f"gave up on {len(listener.clients)} clients after the grace of {grace:g} s\n".encode())
    os._exit(0)
