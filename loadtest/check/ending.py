"""The rows about SIGTERM: each ends the server."""

import math
import threading
import time
from typing import Final

from loadtest.check.client import PATIENCE, Client, RowFailedError, shown, told
from loadtest.check.row import row
from loadtest.check.server import ENDING, GRACE, Server
from loadtest.check.wire import is_error
from loadtest.lab.processes import InterruptedByUserError

_LOAD: Final = 20
"""Clients that ask without a pause."""

_BEGUN: Final = 50
"""Replies that one of them has had before the signal, if there is time."""

_PAUSE: Final = 0.05


class _Load:
    """Clients that send, wait for the reply and send again, each in a thread, until their connections end."""

    def __init__(self, server: Server) -> None:
        self.wrong: list[RowFailedError] = []
        self.signalled = math.inf  # when SIGTERM was sent
        self._clients = [server.client() for _ in range(min(_LOAD, server.serves))]
        self.answered = [0] * len(self._clients)
        self._going = True
        self._threads = [threading.Thread(target=self._ask, args=each) for each in enumerate(self._clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End all."""
        self._going = False
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.socket.close()

    def _ask(self, number: int, client: Client) -> None:
        while self._going:
            text = b"%d says %d " % (number, self.answered[number]) + b"x" * 1_000
            try:
                client.send(b"ECHO " + text + b"\n")
                came, end = client.receive(1)
            except InterruptedByUserError:
                return
            except RowFailedError as failed:
                came, end = b"", failed.came
            answered = came == b"OK " + text + b"\n"
            ending = time.monotonic() > self.signalled
            if not answered and not (ending and (not came or is_error(came))):
                expected = shown(b"OK " + text) + (", or ERR, or nothing" if ending else "")
                self.wrong.append(RowFailedError(shown(b"ECHO " + text), told(came, end), expected))
            if end:
                return
            client.answered()
            self.answered[number] += answered
            if time.monotonic() > self.signalled + 1:  # a server that takes its time is not kept busy
                time.sleep(_PAUSE)


def _end_under_load(server: Server) -> tuple[_Load, bool]:
    """Send SIGTERM under load; return the load, and whether the server's process has ended in time."""
    load = _Load(server)
    try:
        deadline = time.monotonic() + PATIENCE
        while not load.wrong and (
            not all(load.answered) or (max(load.answered) < _BEGUN and time.monotonic() < deadline)
        ):
            server.pause()
            time.sleep(0.01)
        if load.wrong:
            wrong, ended = load.wrong[0], server.how_it_ended(ENDING)
            raise RowFailedError(wrong.sent, f"{wrong.came}; {ended}" if ended else wrong.came, wrong.expected)
        if ended := server.how_it_ended():
            raise RowFailedError("requests without a pause, no SIGTERM yet", ended, "a running server")
        load.signalled = time.monotonic()
        server.terminate()
        return load, server.wait_for_end()
    finally:
        load.end()


@row(process=True, ends=True, after=("own-replies",))
def sigterm(server: Server) -> None:
    """After SIGTERM under load it ends within 10 s, with all its processes, and frees its port."""
    _, ended = _end_under_load(server)
    sent = "SIGTERM, while clients ask without a pause"
    if not ended:
        raise RowFailedError(sent, f"it still runs after {GRACE:g} s", f"it ends within {GRACE:g} s")
    if left := server.wait_while(server.processes, within=1):
        raise RowFailedError(sent, f"it ended, but {len(left)} of its processes still run", "all processes end")
    if not server.refusal():
        raise RowFailedError(sent, "it ended, but its port still takes clients", "a free port")


@row(process=True, ends=True, after=("sigterm",))
def last_replies(server: Server) -> None:
    """SIGTERM under load cuts no reply: each that comes is whole and right."""
    load, _ = _end_under_load(server)
    if load.wrong:
        worst = load.wrong[0]
        raise RowFailedError(f"{worst.sent}, and SIGTERM amid it", worst.came, worst.expected)


@row("SLEEP", process=True, ends=True, after=("last-replies", "sleep"))
def begun_request(server: Server) -> None:
    """A request that has begun when SIGTERM comes is answered."""
    with server.client() as client:
        client.echo(b"in")
        client.send(b"SLEEP 400 begun\n")
        server.interrupt.sleep(0.1)
        server.terminate()
        client.expect(b"OK begun\n")
