"""The memory of servers that already run, from their /metrics."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from loadtest.compare.measure.exported import Exported, NotExportedError
from loadtest.compare.measure.memory import NotMeasuredError, measure, price
from loadtest.compare.measure.process_memory import Look
from tests.support.processes import ROOT
from tests.support.ready import server, started

pytestmark = pytest.mark.slow

METRICS = """\
tcplab_resident_memory_bytes 3e+07
tcplab_threads 4
tcplab_connections_open 5
tcplab_connections_waiting 2
tcplab_connections_ended_total{outcome="quit"} 20
tcplab_connections_ended_total{outcome="reset"} 3
tcplab_accept_queue_connections 5
tcplab_container_memory_bytes{part="anon"} 100
tcplab_container_memory_bytes{part="kernel"} 20
tcplab_container_memory_bytes{part="sock"} 3
tcplab_container_memory_bytes{part="file"} 999
"""


@contextmanager
def metrics(text: str) -> Iterator[str]:
    class Fixed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Fixed) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}/metrics"
        found.shutdown()
        thread.join()


def test_what_is_read_of_metrics() -> None:
    with metrics(METRICS) as address:
        found = Exported(address)
        assert found.look() == Look(memory=30_000_000, threads=4, sockets=7)
        assert found.clients() == 7 + 23 + 5
        charged = {"anon": 100, "kernel": 20, "sock": 3}  # the page cache is nobody's
        assert (found.was_charged(), found.charged()) == (charged, charged)
        assert found.room() is None


PYTHON = """\
tcplab_interpreter_info{implementation="CPython",version="3.14.7",build="free-threaded"} 1
tcplab_gil_enabled 0
tcplab_switch_interval_seconds 0.0005
"""


def test_the_interpreter_is_read_of_metrics() -> None:
    told = {"implementation": "CPython", "version": "3.14.7", "build": "free-threaded"}
    with metrics(PYTHON) as address:
        assert Exported(address).interpreter() == {**told, "gil": False, "switch_interval": 0.0005}
    with metrics(PYTHON.replace("enabled 0", "enabled 1")) as address:
        assert Exported(address).interpreter() == {**told, "gil": True, "switch_interval": 0.0005}
    with metrics(METRICS) as address:
        assert Exported(address).interpreter() is None, "an earlier revision does not tell"
    assert Exported("http://127.0.0.1:1/metrics").interpreter() is None


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(NotExportedError, match=r"http://127\.0\.0\.1:1/metrics cannot be read \(.*refused"):
        Exported("http://127.0.0.1:1/metrics").charged()
    with metrics("up 1\n") as address, pytest.raises(NotExportedError, match="has no tcplab_resident_memory_bytes"):
        Exported(address).look()
    with metrics("<html>") as address, pytest.raises(NotExportedError, match="is it a server's /metrics"):
        Exported(address).look()


def test_exported_measures_agree_with_those_seen() -> None:
    with server("threaded") as one, server("threaded") as other:
        found, expected = price([measure(one.told, clients=200)]), price([measure(other.seen, clients=200)])
    assert found.threads.value == pytest.approx(1)
    # The stacks of the threads that answered are a client's later on: 7 % with 200 clients, 1 % with 1,000.
    assert found.silent.value == pytest.approx(expected.silent.value, rel=0.15)
    assert found.spoken.value == pytest.approx(expected.spoken.value, rel=0.15)
    assert (found.connected, found.served, found.spoke, found.note) == (201, 201, 201, "")


def test_what_is_charged_is_of_the_same_moment() -> None:
    with started("tests.support.stubs.memory", json.dumps({"charged": 3_000})) as one:
        exported = Exported(one.metrics)
        assert exported.charged() == exported.was_charged() == {"kernel": 5_000_000}
        with socket.create_connection((one.host, one.port)) as client:
            client.sendall(b"ECHO\n")
            client.recv(10)
            assert exported.was_charged() == {"kernel": 5_000_000}
            assert exported.charged() == exported.was_charged() == {"kernel": 5_003_000}


def test_one_at_a_time_tells_of_one() -> None:
    with server("single") as single:
        found = price([measure(single.told, clients=50)])
    assert found.silent.value == pytest.approx(0, abs=500)
    assert found.note == "1 of 51 clients served; the others waited in the accept queue"


class WeighedError(Exception):
    """It accepts the server and measures it."""


def weigh(_seconds: float) -> None:
    raise WeighedError


def test_who_has_had_clients_is_not_weighed() -> None:
    """New clients reuse their memory: the slope would be nearly 0."""
    with server("asyncio") as one:
        for _ in range(3):
            with socket.create_connection((one.host, one.port)) as client:
                client.sendall(b"QUIT\n")
                client.recv(10)
        with pytest.raises(NotMeasuredError, match=r"has had 3 clients already, .* restart the server$"):
            measure(one.told, clients=200)
        with pytest.raises(WeighedError):
            measure(one.told, clients=300, pause=weigh)


def test_who_has_other_clients_meanwhile_is_not_weighed() -> None:
    others: list[socket.socket] = []
    with server("asyncio") as one:

        def come(seconds: float) -> None:
            threading.Event().wait(seconds)
            if Exported(one.metrics).look().sockets > 100:
                others.append(socket.create_connection((one.host, one.port)))

        with pytest.raises(NotMeasuredError, match=r"others are clients of the server of http:.* end their load first"):
            measure(one.told, clients=200, pause=come)
        for each in others:
            each.close()


def test_another_servers_metrics_are_found_out() -> None:
    with server("asyncio") as one, server("asyncio") as other:
        mixed = one.told._replace(seen=Exported(other.metrics))
        with pytest.raises(NotMeasuredError, match=r"^the server of http:.* does not hold the connection to 127"):
            measure(mixed, clients=200)


def test_running_servers_are_weighed_before_any_load(tmp_path: Path) -> None:
    with server("asyncio") as one:
        mine = f"mine={one.host}:{one.port} {one.metrics}"
        options = ["--variants", "protocol", "--clients", "1", "--seconds", "1", "--warmup", "1", "--memory"]
        command = [sys.executable, "-m", "tests.support.load.compare", *options, "--output", str(tmp_path)]
        env = {**os.environ, "TEST_MEMORY_CLIENTS": "200"}
        done = subprocess.run(
            [*command, "--server", mine], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "latest" / "compare.json").read_text())
    own, fresh = found["memory"]
    assert (own["candidate"], fresh["candidate"]) == ("mine", "protocol")
    assert len(own["runs"]) == 1
    assert own["note"] == "one process, which ran already: no interval"
    assert 2_000 < own["silent"]["value"] < 20_000
    assert own["silent"]["low"] is None
    assert own["container_why"] == "it exports no memory of a container of its own"
    assert done.stdout.index("memory: mine, up to 200 clients, 1 process ...") < done.stdout.index("[ 1/2")
