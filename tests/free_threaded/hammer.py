"""
Count from many threads at once; `python -m tests.free_threaded.hammer` prints what was counted, as JSON.

Run by a Python without a GIL, which has nothing of the tests' requirements.
"""

import json
import sys
import threading
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

from prometheus_client import CollectorRegistry

from servers.metrics.server import MetricsServer
from servers.stats import Stats
from servers.wire import Command

THREADS: Final = 8
CLIENTS: Final = 60
"""Of each thread."""
REQUESTS: Final = 500
"""Of each client, of each kind."""
SCRAPES: Final = 5_000
"""Of each thread."""
PLAIN: Final = 300_000
"""Of each thread: so many that some run at once on a busy machine too."""


def at_once(work: Callable[[], None]) -> None:
    """Run `work` in all threads, which begin together, and wait for them."""
    gate = threading.Barrier(THREADS)

    def run() -> None:
        gate.wait()
        work()

    running = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def counted(stats: Stats) -> dict[str, float]:
    """Return what the servers' counters say after the threads have served their clients."""

    def serve() -> None:
        for _ in range(CLIENTS):
            counts = stats.own.enter(waited=0.5)
            for _ in range(REQUESTS):
                counts.echoed(0.25, received=7, sent=5)
                counts.answered(Command.WORK, 0.25)
                counts.failed("unknown")
            stats.own.leave(counts, "quit")
            stats.own.failed("full")

    stats.own.opened(THREADS * CLIENTS)  # by one thread: the one that accepts
    at_once(serve)
    total = stats.total()
    return {
        "echoed": total.requests[Command.ECHO],
        "worked": total.requests[Command.WORK],
        "timed": sum(total.buckets),
        "seconds": total.seconds,
        "received": total.received,
        "sent": total.sent,
        "unknown": total.errors["unknown"],
        "full": total.errors["full"],
        "quit": total.ended["quit"],
        "refused": total.ended["refused"],
        "waits": sum(total.waits),
        "waited": total.waited,
        "open": total.open,
        "waiting": total.waiting,
    }


def in_memory_shared_by_processes() -> Stats:
    """Return counters as a forked worker has them."""
    stats = Stats()
    stats.share(1, writers=THREADS)
    stats.own = stats.blocks[1]
    return stats


class Scrapes(MetricsServer):
    """A server of metrics that answers nothing, in a second of CPU time."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer nothing."""

    def shutdown_request(self, request: Any) -> None:
        """Have nothing to close."""


def scraped() -> float:
    """Return the CPU seconds that a metrics server counts for the scrapes of all threads."""
    with Scrapes("127.0.0.1", 0, CollectorRegistry()) as server, patch("time.thread_time", lambda: 1.0):

        def scrape() -> None:
            for _ in range(SCRAPES):
                server.process_request_thread(None, None)

        at_once(scrape)
        return server.answering


class Plain:
    """A counter that every thread adds to."""

    def __init__(self) -> None:
        self.value = 0

    def count(self) -> None:
        """Add what is a thread's."""
        for _ in range(PLAIN):
            self.value += 1


def main() -> None:
    """Count, and print."""
    plain = Plain()
    at_once(plain.count)
    lists, shared = counted(Stats()), counted(in_memory_shared_by_processes())
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    json.dump({"gil": gil, "lists": lists, "shared": shared, "scraped": scraped(), "plain": plain.value}, sys.stdout)


if __name__ == "__main__":
    main()
