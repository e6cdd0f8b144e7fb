"""Server processes and clients for tests. Bytes are literal: a codec shared with the servers would hide mistakes."""

import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

from servers.variants import VARIANTS, by_name
from tests.support import interpreters
from tests.support.processes import ROOT

PATIENCE: Final = 30.0
"""Seconds for any step, at most: a busy machine may need them."""

UNKNOWN: Final = b"ERR unknown request; there are ECHO, SLEEP, WORK and QUIT\n"
BAD_SLEEP: Final = b"ERR SLEEP takes milliseconds from 0 to 10000, then the text\n"
BAD_WORK: Final = b"ERR WORK takes rounds from 0 to 1000000, then the text\n"
OVERLONG: Final = b"ERR a line may have 65536 bytes\n"
UNFINISHED: Final = b"ERR the last line has no line end\n"


@dataclass(frozen=True, slots=True)
class Model:
    """
    A server under the contract: a row of the table of variants, perhaps with options.

    free_threaded: whether a Python without a GIL runs it, which the machine may lack.
    """

    name: str
    variant: str
    options: tuple[str, ...] = ()
    free_threaded: bool = False

    def command(self, *options: str) -> list[str]:
        """Return the command that starts it; skip the test if the machine lacks its interpreter."""
        interpreter = interpreters.free_threaded() if self.free_threaded else sys.executable
        return command_line(self.variant, *self.options, *options, interpreter=interpreter)

    @property
    def concurrent(self) -> bool:
        """Whether it serves several clients at once."""
        return by_name(self.variant).clients != 1

    @property
    def in_a_loop(self) -> bool:
        """Whether it serves from one thread, in an event loop."""
        return by_name(self.variant).connection != "blocking"

    @property
    def kept_threads(self) -> int:
        """Threads that it keeps for its next clients, at most."""
        return int(CROWDED[1]) if "threads" in by_name(self.variant).options else 0

    @property
    def in_few_threads(self) -> tuple[str, ...]:
        """Options with which it keeps few threads."""
        return ("--threads", "8") if self.kept_threads else ()

    @property
    def several_processes(self) -> bool:
        """Whether it serves from forked processes."""
        return "workers" in by_name(self.variant).options

    @property
    def workers_own(self) -> float:
        """Megabytes that its workers no longer share once they serve."""
        return 4.0 if self.several_processes else 0.0

    @property
    def in_one_process(self) -> tuple[str, ...]:
        """Options with which it serves from one process."""
        return ("--workers", "1") if self.several_processes else ()

    @property
    def loop(self) -> tuple[str, ...]:
        """The options for an event loop that is not the default; () if it has that, or none."""
        return self.options if self.options[:1] == ("--loop",) else ()


STDLIB_LOOP: Final = ("--loop", "asyncio")
"""rloop is no row here, because it fails most faults: contract/test_rloop.py."""
CROWDED: Final = ("--threads", "400")
"""For a pool under tests that let hundreds of clients in."""
APART: Final = ("--workers", "2", "--listen", "reuseport")
MODELS: Final = (
    *(Model(each.name, each.name, CROWDED if "threads" in each.options else ()) for each in VARIANTS),
    *(Model(f"{each.name}-stdlib", each.name, STDLIB_LOOP) for each in VARIANTS if each.connection != "blocking"),
    *(Model(f"{each.name}-reuseport", each.name, APART) for each in VARIANTS if "listen" in each.options),
)
FREE_THREADED: Final = tuple(
    Model(f"{each.name}-freethreaded", each.variant, each.options, free_threaded=True)
    for each in MODELS
    if not each.in_a_loop
)
EVERY: Final = MODELS + FREE_THREADED
"""MODELS are those under the interpreter that runs the tests."""
CONCURRENT: Final = tuple(model for model in EVERY if model.concurrent)


def command_line(variant: str, *options: str, interpreter: str = sys.executable) -> list[str]:
    """Return the command that starts a server."""
    return [interpreter, "-m", "servers", variant, *options]


def environment(**extra: str) -> dict[str, str]:
    """Return this environment without the lab's settings, and with `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TCPLAB_")} | extra


class Samples:
    """The metrics of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of one series, without the prefix tcplab_."""
        return self.values[f"tcplab_{name}", frozenset(labels.items())]

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return a family's values by its only label."""
        return {dict(labels)[label]: value for (its, labels), value in self.values.items() if its == f"tcplab_{name}"}


class Client:
    """A client that sends and expects literal bytes; every wait is bounded."""

    def __init__(self, address: tuple[str, int], timeout: float = PATIENCE) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, count: int) -> bytes:
        """Return `count` bytes, or fewer if the server closes."""
        received = bytearray()
        while len(received) < count and (data := self.socket.recv(min(count - len(received), 1 << 20))):
            received += data
        return bytes(received)

    def expect(self, reply: bytes) -> None:
        """Read as many bytes as `reply` has; they must be equal."""
        received = self.receive(len(reply))
        if received != reply:  # an assert on megabytes takes pytest minutes to explain
            at = next((i for i, (a, b) in enumerate(zip(received, reply, strict=False)) if a != b), len(received))
            raise AssertionError(f"at byte {at}: {received[at : at + 80]!r} instead of {reply[at : at + 80]!r}")

    def expect_end(self) -> None:
        """Assert that the server closes without further bytes or a reset."""
        assert self.socket.recv(100) == b""

    def ask(self, request: bytes, reply: bytes) -> None:
        """Send a request and expect its reply."""
        self.send(request)
        self.expect(reply)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Server:
    """A server process on free ports; at the end of its context it must end with status 0 and no output."""

    def __init__(
        self,
        model: Model,
        *options: str,
        environment_extra: Mapping[str, str] | None = None,
        descriptors: int | None = None,
        deaf: bool = False,
    ) -> None:
        """Start it with this limit on descriptors; deaf: nothing reads its stderr."""

        def limit() -> None:
            assert descriptors is not None
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.model = model
        self._ended = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in kill()
        unread, stderr = os.pipe()
        os.close(unread)
        self.process = subprocess.Popen(
            model.command("--port", "0", "--metrics-port", "0", *options),
            cwd=ROOT,
            env=environment(**(environment_extra or {})),
            stdout=subprocess.PIPE,
            stderr=stderr if deaf else self._errors,
            preexec_fn=limit if descriptors is not None else None,  # noqa: PLW1509 - the tests start no threads
        )
        os.close(stderr)
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        self.ready = self.process.stdout.readline().decode() if ready else ""
        try:
            name, rest = self.ready.split(" ready: tcp 127.0.0.1:")
            port, metrics = rest.split(", metrics ")
        except ValueError:
            said = self.errors()
            self.kill()
            raise AssertionError(f"not ready: {self.ready!r}, {said!r}") from None
        assert name == model.variant
        self.address = ("127.0.0.1", int(port))
        self.metrics_url = metrics.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._ended:
                self.terminate()
                self.ended()
        finally:
            self.kill()

    @property
    def metrics_port(self) -> int:
        return int(self.metrics_url.rsplit(":", 1)[1].partition("/")[0])

    def client(self, timeout: float = PATIENCE) -> Client:
        return Client(self.address, timeout)

    def serving(self) -> list[psutil.Process]:
        """Return the processes that serve its clients: its workers, or itself."""
        own = psutil.Process(self.process.pid)
        return own.children() or [own]

    def metrics(self) -> Samples:
        """Scrape."""
        with urllib.request.urlopen(self.metrics_url, timeout=PATIENCE) as reply:
            assert reply.status == 200
            return Samples(reply.read().decode())

    def wait_for(self, what: Callable[[Samples], bool], why: str) -> Samples:
        """Scrape until `what` holds for the metrics; return them."""
        deadline = time.monotonic() + PATIENCE
        while not what(samples := self.metrics()):
            assert time.monotonic() < deadline, f"never: {why}\n{samples.text}"
            time.sleep(0.02)
        return samples

    def wait_for_ends(self, count: int) -> Samples:
        """Scrape until `count` connections have ended and none is open."""
        return self.wait_for(
            lambda seen: (
                sum(seen.by("connections_ended_total", "outcome").values()) == count and seen("connections_open") == 0
            ),
            f"{count} connections ended",
        )

    def terminate(self, kind: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(kind)

    def errors(self) -> str:
        """Return its stderr."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def ended(self, status: int = 0, said: str = "") -> None:
        """Wait for its end with this status, with `said` on stderr and no more on stdout."""
        assert self.process.stdout is not None
        self._ended = True
        actual = self.process.wait(PATIENCE)
        assert (actual, self.errors(), self.process.stdout.read()) == (status, said, b"")

    def kill(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def close_all(clients: Iterable[Client]) -> None:
    for client in clients:
        client.close()
