"""Serve /metrics over HTTP, with a thread for each scrape."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from servers.connections.listener import BACKOFF

TIMEOUT: Final = 6.0
"""Seconds a scraper may stay silent: three times Prometheus's scrape timeout."""

COMPLAINTS: Final = 5
"""Lines on stderr about failed scrapes, at most: with a scrape every two seconds they would repeat without end."""


class Handler(BaseHTTPRequestHandler):
    """Answers one scrape. It sends no CORS header, so a page of another origin cannot read the answer."""

    timeout = TIMEOUT
    server: "MetricsServer"

    def do_GET(self) -> None:
        """Answer with the metrics."""
        encode, kind = choose_encoder(self.headers.get("Accept", ""))
        text = encode(self.server.registry)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send 405 (method not allowed) where http.server sends 501 (not implemented)."""
        super().send_error(405 if code == 501 else code, message, explain)

    def end_headers(self) -> None:
        """Add the allowed methods."""
        self.send_header("Allow", "GET, HEAD")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's
        """Log nothing."""


class MetricsServer(ThreadingHTTPServer):
    """An HTTP server that answers GET and HEAD with a registry's metrics."""

    request_queue_size = 32
    answering = accepting = 0.0
    """CPU seconds so far of the threads that answer scrapes, and of the one that accepts them."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.registry = registry
        self._complaints = 0
        self._lock = threading.Lock()  # scrapes end at the same time, and `+=` is not atomic
        self._scrapes: set[socket] = set()
        super().__init__((host, port), Handler)
        registry.register(self)
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def collect(self) -> Iterator[Metric]:
        """Yield the CPU time of all scrapes until this one."""
        yield CounterMetricFamily(
            "tcplab_scrape_cpu_seconds",
            "CPU time, contained in tcplab_cpu_seconds_total, for answering scrapes: it is not a cost of requests.",
            value=self.answering + self.accepting,
        )

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's
        """Answer a scrape, and add its thread's CPU time."""
        super().process_request_thread(request, client_address)
        used = time.thread_time()
        with self._lock:
            self.answering += used

    def service_actions(self) -> None:
        """Read the accepting thread's CPU time, which runs this twice a second or more."""
        self.accepting = time.thread_time()

    def get_request(self) -> tuple[Any, Any]:
        """Accept; if that fails, wait: the scraper stays in the queue, and retrying at once would spin."""
        try:
            scrape, address = super().get_request()
        except OSError:
            time.sleep(BACKOFF)
            raise
        self._scrapes.add(scrape)
        return scrape, address

    def close_request(self, request: Any) -> None:  # noqa: ANN401 - socketserver's
        """Close a scrape's connection, and forget it."""
        super().close_request(request)
        self._scrapes.discard(request)

    def _leave_to_parent(self) -> None:
        """Close the sockets of /metrics in a process that has just been forked: only its parent serves them."""
        for each in (self.socket, *self._scrapes):
            if (descriptor := each.detach()) >= 0:  # not `close`: it would wait for a thread that isn't here
                os.close(descriptor)

    def handle_error(self, request: object, client_address: object) -> None:
        """Print the error in one line, a few times; a scraper that leaves is no error."""
        error = sys.exception()
        if isinstance(error, ConnectionError):
            return
        with self._lock:
            if self._complaints == COMPLAINTS:
                return
            self._complaints += 1
        with suppress(OSError):  # stderr may be closed
            sys.stderr.write(f"a scrape of /metrics failed: {error!r}\n")
