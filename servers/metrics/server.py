"""Serves /metrics over HTTP, from a thread for each scrape."""

import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from servers.connections.listener import BACKOFF

TIMEOUT: Final = 6.0
"""Seconds that a scraper may stay silent: three times what Prometheus waits for the reply."""

COMPLAINTS: Final = 5
"""Lines on stderr about failed scrapes, in all: there is one every two seconds, and it fails like the one before."""


class Handler(BaseHTTPRequestHandler):
    """Answers one scrape. A page of another origin can't read the answer: nothing allows it to."""

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
        """Say 405 where http.server says 501, that the method isn't there."""
        super().send_error(405 if code == 501 else code, message, explain)

    def end_headers(self) -> None:
        """Say what may be asked."""
        self.send_header("Allow", "GET, HEAD")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's
        """Log nothing."""


class MetricsServer(ThreadingHTTPServer):
    """An HTTP server that answers GET and HEAD with the metrics of a registry."""

    request_queue_size = 32

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.registry = registry
        self._complaints = 0
        super().__init__((host, port), Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Accept; without descriptors wait a little, for the scraper stays in the queue and would be tried at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(BACKOFF)
            raise

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in a line what went wrong, a few times; a scraper that has left, or says nothing, is nothing wrong."""
        error = sys.exception()
        if isinstance(error, ConnectionError) or self._complaints == COMPLAINTS:
            return
        self._complaints += 1
        with suppress(OSError):  # nobody reads it
            sys.stderr.write(f"a scrape of /metrics failed: {error!r}\n")
