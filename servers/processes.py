"""Several processes serve one listening socket; their parent exports what they count."""

import os
import signal
import sys
import threading

from servers.connections.listener import Listener
from servers.shutdown import stop_on_signals


def fork(listener: Listener, count: int, grace: float) -> None:
    """
    Fork `count` workers: return in each of them; in the parent, wait for them and exit.

    Each worker counts in its own block. It stops in order on SIGTERM, which the parent passes on, and dies with it.
    """
    listener.stats.share(count, writers=listener.limit)
    parent_lives, held_by_parent = os.pipe()
    for block in listener.stats.blocks[1:]:
        worker = os.fork()
        if not worker:
            os.close(held_by_parent)
            listener.workers.clear()
            listener.on_first = None
            listener.stats.own = block
            threading.Thread(target=end_with, args=(parent_lives,), name="parent", daemon=True).start()
            stop_on_signals(listener, grace)
            return
        listener.workers.append(worker)
    if listener.on_first is not None:
        listener.on_first()
    if listener.stopping:  # the signal came before all of them had started
        for worker in listener.workers:
            os.kill(worker, signal.SIGTERM)
    for worker in listener.workers:  # reap none before all have ended: /metrics still reads /proc/<pid> of each
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    for worker in listener.workers:
        os.waitpid(worker, 0)
    sys.exit(0)


def end_with(parent_lives: int) -> None:
    """Exit at once when the parent has ended: nothing else would stop this process."""
    os.read(parent_lives, 1)
    os._exit(1)
