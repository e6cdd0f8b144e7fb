"""Several processes that serve one listening socket: the one that forks them exports what they count."""

import os
import signal
import sys
import threading

from servers.connections.listener import Listener
from servers.shutdown import stop_on_signals


def fork(listener: Listener, count: int, grace: float) -> None:
    """
    Fork `count` workers: this returns in each of them, and exits in the process that called it when they have ended.

    A worker counts in a block of its own, stops in order on SIGTERM, which its parent passes on, and ends with it.
    """
    listener.stats.share(count, writers=listener.limit)
    parent_lives, held_by_parent = os.pipe()
    for block in listener.stats.blocks[1:]:
        worker = os.fork()
        if not worker:
            os.close(held_by_parent)
            listener.workers.clear()
            listener.stats.own = block
            threading.Thread(target=_end_with, args=(parent_lives,), name="parent", daemon=True).start()
            stop_on_signals(listener, grace)
            return
        listener.workers.append(worker)
    if listener.stopping:  # told to stop before all of them were there
        for worker in listener.workers:
            os.kill(worker, signal.SIGTERM)
    for worker in listener.workers:  # reaped when all have ended: until then its number and the account of it are kept
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    for worker in listener.workers:
        os.waitpid(worker, 0)
    sys.exit(0)


def _end_with(parent_lives: int) -> None:
    """End the process at once when its parent has ended: nothing else would stop it."""
    os.read(parent_lives, 1)
    os._exit(1)
