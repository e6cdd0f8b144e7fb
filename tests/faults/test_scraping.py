"""Scrapers of /metrics that dawdle, and scrapes that cannot be served: neither holds the server up or fills its log."""

import errno
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from servers.scraping import COMPLAINTS, SCRAPES, ScrapeServer
from tests.contract.alive import served_at_once, settled
from tests.contract.conftest import Launch
from tests.contract.lab import MODELS, PATIENCE, Model
from tests.faults.test_input import MEGABYTE, peak_memory


class Broken(Collector):
    """A collector that cannot read what it exports."""

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        raise OSError(errno.EMFILE, "Too many open files")


@contextmanager
def scraping(deadline: float = PATIENCE, *collectors: Collector) -> Iterator[tuple[str, int]]:
    """Serve the metrics of a registry of its own; yield the address."""
    registry = CollectorRegistry()
    Gauge("answer", "What is there to see.", registry=registry).set(42)
    for collector in collectors:
        registry.register(collector)
    with ScrapeServer("127.0.0.1", 0, registry, deadline) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        yield ("127.0.0.1", int(server.server_address[1]))
        server.shutdown()
        running.join()


def scrape(address: tuple[str, int]) -> str:
    with closing(http.client.HTTPConnection(*address, timeout=PATIENCE)) as connection:
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        assert reply.status == 200
        return reply.read().decode()


def ask_nothing(scraper: socket.socket) -> bytes:
    return scraper.recv(100)


def drip(scraper: socket.socket) -> bytes:
    scraper.settimeout(0.05)
    while True:
        scraper.send(b"G")
        try:
            return scraper.recv(100)
        except TimeoutError:
            continue


@pytest.mark.parametrize("dawdle", [ask_nothing, drip])
def test_a_scraper_that_dawdles_is_ended_at_the_deadline(dawdle: Callable[[socket.socket], bytes]) -> None:
    with scraping(1.0) as address:
        began = time.monotonic()
        with socket.create_connection(address, PATIENCE) as scraper:
            assert "answer 42.0" in scrape(address), "another is served meanwhile"
            try:
                answer = dawdle(scraper)
            except ConnectionError:  # a byte crossed with the end
                answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.0 4")
        assert 1.0 <= time.monotonic() - began < 10


def test_scrapers_that_leave_are_not_worth_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with scraping() as address:
        for request in (b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\n\r\n") * 5:
            with socket.create_connection(address, PATIENCE) as scraper:
                scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a RST
                scraper.sendall(request)
        assert "answer 42.0" in scrape(address)
    assert capsys.readouterr().err == ""


def fail_to_scrape(address: tuple[str, int], times: int) -> None:
    for _ in range(times):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            scrape(address)


def test_a_lack_of_threads_is_told_in_a_few_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with scraping() as address:
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading.Thread, "start", no_thread)
            fail_to_scrape(address, 20)
        assert "answer 42.0" in scrape(address)
    said = capsys.readouterr().err
    assert said == 'a scrape of /metrics failed: RuntimeError("can\'t start new thread")\n' * COMPLAINTS


def test_a_failure_to_read_what_is_exported_is_told_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with scraping(PATIENCE, Broken()) as address:
        fail_to_scrape(address, 20)
    said = capsys.readouterr().err
    assert said == "a scrape of /metrics failed: OSError(24, 'Too many open files')\n" * COMPLAINTS


def test_scrapers_that_hang_take_neither_the_wire_nor_the_next_scrape(model: Model, launch: Launch) -> None:
    """Fifty with half a request; then hundreds, of whom it holds no more than it can afford."""
    server = launch(model)
    port = int(server.metrics_url.rsplit(":", 1)[1].partition("/")[0])
    hanging: list[socket.socket] = []
    for count in (50, 300):
        while len(hanging) < count:
            hanging.append(socket.create_connection(("127.0.0.1", port), PATIENCE))
            hanging[-1].sendall(b"GET /metr")
            if len(hanging) % 10 == 0:
                served_at_once(server)
                assert server.metrics()("connections_limit") > 0
        settled(server, SCRAPES)
    for scraper in hanging:
        scraper.close()


def test_what_scrapers_say_at_length_is_not_kept(launch: Launch) -> None:
    """Ninety lines of 60 kB each, from as many as are heard at once; they hang before the end."""
    server = launch(MODELS[0])
    served_at_once(server)
    port = int(server.metrics_url.rsplit(":", 1)[1].partition("/")[0])
    before = peak_memory(server)
    with ExitStack() as scrapers:
        for _ in range(SCRAPES):
            scraper = scrapers.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            with suppress(ConnectionError):
                scraper.sendall(b"GET /metrics HTTP/1.1\r\n" + (b"X: " + b"x" * 60_000 + b"\r\n") * 90)
        assert server.metrics()("connections_limit") > 0
        assert peak_memory(server) - before < 5 * MEGABYTE
