"""Serves /metrics beside the clients: no scraper holds a descriptor for long, or keeps the server busy or talking."""

import io
import socketserver
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from typing import Any, Final

from prometheus_client import CollectorRegistry, MetricsHandler

from servers.listener import BACKOFF, EXHAUSTED
from servers.spares import Spares

DEADLINE: Final = 6.0
"""Seconds for a scrape from accept to close, three times what Prometheus waits: who is idle holds a descriptor."""

SCRAPES: Final = 32
"""Scrapes at once: past them the longest is ended, for one takes milliseconds, and its thread and descriptor memory."""

REQUEST: Final = 8 * 1024
"""Bytes that are read of a scrape's request: Prometheus sends some 300, and http.server would keep 6 MB of each."""

COMPLAINTS: Final = 5
"""Lines on stderr about failed scrapes, in all: there is one every two seconds, and it fails like the one before."""


class _Brief(io.RawIOBase):
    """The beginning of what a scraper says; after it there seems to be nothing more."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._left = REQUEST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as io has it
        count = self._connection.recv_into(memoryview(buffer)[: self._left]) if self._left else 0
        self._left -= count
        return count


class _Handler(MetricsHandler):
    """Answers a scrape, however much the scraper says; by GET alone."""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Brief(self.connection))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse; http.server calls a method of which it knows nothing not implemented, HEAD too."""
        if code != HTTPStatus.NOT_IMPLEMENTED:
            super().send_error(code, message, explain)
            return
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Allow", "GET")
        self.send_header("Content-Length", "0")
        self.end_headers()


class ScrapeServer(socketserver.ThreadingTCPServer):
    """An HTTP server that answers every GET with the metrics of a registry, from a thread for each."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = SCRAPES

    def __init__(self, host: str, port: int, registry: CollectorRegistry, deadline: float = DEADLINE) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._deadline = deadline
        self._began: dict[socket, float] = {}
        self._complaints = 0
        self._spares = Spares()
        super().__init__((host, port), _Handler.factory(registry))

    def get_request(self) -> tuple[socket, object]:
        """Accept; where descriptors have run out with the spare ones, for it is now that one must see what is wrong."""
        try:
            request, address = super().get_request()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._spares.let_go()
            request, address = self._accept_or_wait()
        self._began[request] = time.monotonic()
        return request, address

    def _accept_or_wait(self) -> tuple[socket, object]:
        """Accept; if that fails wait a little, for the scraper stays in the queue and would be tried at once."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(BACKOFF)
            raise

    def close_request(self, request: socket | tuple[bytes, socket]) -> None:
        """Close, and put its descriptors by if some are missing."""
        super().close_request(request)
        self._spares.put_by()

    def service_actions(self) -> None:
        """End the scrapes that are too late or too many; socketserver calls this twice a second, and more often."""
        latest = time.monotonic() - self._deadline
        self._began = {request: began for request, began in self._began.items() if request.fileno() >= 0}
        surplus = len(self._began) - SCRAPES
        for number, (request, began) in enumerate(list(self._began.items())):
            if number < surplus or began < latest:
                del self._began[request]
                with suppress(OSError):  # it has left
                    request.shutdown(SHUT_RDWR)  # its thread finds that nothing more comes

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in a line what went wrong, a few times; a scraper that has left is nothing wrong."""
        error = sys.exception()
        if isinstance(error, ConnectionError) or self._complaints == COMPLAINTS:
            return
        self._complaints += 1
        with suppress(OSError):  # nobody reads it
            sys.stderr.write(f"a scrape of /metrics failed: {error!r}\n")

    def server_close(self) -> None:
        """Close the listening socket and the spare descriptors."""
        super().server_close()
        self._spares.close()
