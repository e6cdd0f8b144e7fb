"""Serves /metrics beside the clients: no scraper holds a descriptor for long, or keeps the server busy or talking."""

import socketserver
import sys
import time
from contextlib import suppress
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from typing import Final

from prometheus_client import CollectorRegistry, MetricsHandler

from servers.listener import BACKOFF, EXHAUSTED

DEADLINE: Final = 6.0
"""Seconds for a scrape from accept to close, three times what Prometheus waits: who is idle holds a descriptor."""

COMPLAINTS: Final = 5
"""Lines on stderr about failed scrapes, in all: there is one every two seconds, and it fails like the one before."""


class ScrapeServer(socketserver.ThreadingTCPServer):
    """An HTTP server that answers every GET with the metrics of a registry, from a thread for each."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry, deadline: float = DEADLINE) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._deadline = deadline
        self._began: dict[socket, float] = {}
        self._complaints = 0
        super().__init__((host, port), MetricsHandler.factory(registry))

    def get_request(self) -> tuple[socket, object]:
        """Accept; without descriptors wait a little, for the scraper stays in the queue and would be tried at once."""
        try:
            request, address = super().get_request()
        except OSError as error:
            if error.errno in EXHAUSTED:
                time.sleep(BACKOFF)
            raise
        self._began[request] = time.monotonic()
        return request, address

    def service_actions(self) -> None:
        """End the scrapes that are past their deadline; socketserver calls this twice a second, and more often."""
        latest = time.monotonic() - self._deadline
        for request, began in list(self._began.items()):
            if request.fileno() < 0:  # its thread has closed it
                del self._began[request]
            elif began < latest:
                with suppress(OSError):  # it has left
                    request.shutdown(SHUT_RDWR)  # its thread finds that nothing more comes

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in a line what went wrong, a few times; a scraper that has left is nothing wrong."""
        error = sys.exception()
        if isinstance(error, ConnectionError) or self._complaints == COMPLAINTS:
            return
        self._complaints += 1
        sys.stderr.write(f"a scrape of /metrics failed: {error!r}\n")
