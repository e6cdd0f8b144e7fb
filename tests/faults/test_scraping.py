"""Scrapers that stall, and scrapes that fail: neither blocks the server or fills its log."""

import errno
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from servers.metrics.server import COMPLAINTS, Handler, MetricsServer
from tests.support.alive import served_at_once
from tests.support.fixtures import Launch
from tests.support.processes import eventually
from tests.support.servers import PATIENCE, Model


class Broken(Collector):
    """A collector that fails."""

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        raise OSError(errno.EMFILE, "Too many open files")


@contextmanager
def serving(*collectors: Collector) -> Iterator[MetricsServer]:
    """Serve the metrics of these collectors."""
    registry = CollectorRegistry()
    Gauge("answer", "What is there to see.", registry=registry).set(42)
    for collector in collectors:
        registry.register(collector)
    with MetricsServer("127.0.0.1", 0, registry) as server:
        running = threading.Thread(target=server.serve_forever)
        running.start()
        yield server
        server.shutdown()
        running.join()


@contextmanager
def scraping(*collectors: Collector) -> Iterator[tuple[str, int]]:
    """Serve them; yield the address."""
    with serving(*collectors) as server:
        yield ("127.0.0.1", server.server_port)


def ask(address: tuple[str, int], method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, str]:
    with closing(http.client.HTTPConnection(*address, timeout=PATIENCE)) as connection:
        connection.request(method, "/metrics", headers=headers)
        reply = connection.getresponse()
        return reply, reply.read().decode()


def scrape(address: tuple[str, int]) -> str:
    reply, text = ask(address)
    assert reply.status == 200
    return text


def test_get_and_head_are_answered_alike() -> None:
    with scraping() as address:
        (got, text), (head, nothing) = ask(address), ask(address, "HEAD")
    assert (got.status, head.status, nothing) == (200, 200, "")
    assert "answer 42.0" in text
    assert got.headers["Content-Length"] == str(len(text))
    # The CPU time of the scrapes so far has more digits, or fewer, at the second one.
    assert int(head.headers["Content-Length"]) == pytest.approx(len(text), abs=25)
    assert got.headers["Content-Type"] == head.headers["Content-Type"]
    assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_head_is_answered_without_a_body() -> None:
    """A raw socket, because http.client would not read a body."""
    with scraping() as address, socket.create_connection(address, PATIENCE) as scraper:
        scraper.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        reply = b"".join(iter(lambda: scraper.recv(65536), b""))
    head, end, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert (end, body) == (b"\r\n\r\n", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "NONSENSE"])
def test_other_methods_are_not_allowed(method: str) -> None:
    with scraping() as address:
        reply, text = ask(address, method)
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
        assert "answer" not in text
        assert "answer 42.0" in scrape(address)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_no_other_origin_may_read_it(method: str) -> None:
    with scraping() as address:
        reply, _ = ask(address, method, Origin="http://elsewhere.example")
    assert [name for name in reply.headers if name.lower().startswith("access-control")] == []


def test_prometheus_may_ask_for_openmetrics() -> None:
    with scraping() as address:
        reply, text = ask(address, Accept="application/openmetrics-text; version=1.0.0")
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("begun", [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_a_scraper_that_stalls_is_ended(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Handler.timeout == 6.0
    monkeypatch.setattr(Handler, "timeout", Handler.timeout / 6)
    began = time.monotonic()
    with scraping() as address, socket.create_connection(address, PATIENCE) as scraper:
        scraper.sendall(begun)
        assert "answer 42.0" in scrape(address), "another is served meanwhile"
        assert scraper.recv(100) == b""
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


def test_a_lack_of_threads_takes_a_few_lines(
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


def test_a_failing_read_of_metrics_takes_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with scraping(Broken()) as address:
        fail_to_scrape(address, 20)
    said = capsys.readouterr().err
    assert said == "a scrape of /metrics failed: OSError(24, 'Too many open files')\n" * COMPLAINTS


def test_without_descriptors_scraping_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    accepts = 0

    class Exhausted(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            nonlocal accepts
            accepts += 1
            if accepts <= 4:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    with serving() as server:
        server.socket = Exhausted(fileno=server.socket.detach())
        # The loop has the old object with the same descriptor.
        began = time.monotonic()
        assert "answer 42.0" in scrape(("127.0.0.1", server.server_port))
        assert time.monotonic() - began >= 0.35
    assert accepts == 5


def test_hanging_scrapers_block_neither_clients_nor_scrapes(model: Model, launch: Launch) -> None:
    server = launch(model)
    hanging: list[socket.socket] = []
    while len(hanging) < 50:
        hanging.append(socket.create_connection(("127.0.0.1", server.metrics_port), PATIENCE))
        hanging[-1].sendall(b"GET /metr")
        if len(hanging) % 10 == 0:
            served_at_once(server)
            assert server.metrics()("connections_limit") > 0
    for scraper in hanging:
        scraper.close()


def test_the_cpu_time_of_scrapes_is_counted() -> None:
    with serving() as server:
        seen: list[float] = []

        def rises_twice() -> bool:
            lines = scrape(("127.0.0.1", server.server_port)).splitlines()
            seen.extend(float(line.split()[1]) for line in lines if line.startswith("tcplab_scrape_cpu_seconds_total "))
            return len({*seen}) >= 3 and server.answering > 0

        # A scrape's thread counts itself after the reply, perhaps when the next one has been answered.
        eventually(rises_twice, "scrapes count")
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] < 1
