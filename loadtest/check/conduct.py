"""The rows about clients that end, stall or are many: what one does must not harm the others."""

from contextlib import suppress
from typing import Final

from loadtest.check.client import CLOSED, PATIENCE, RESET, Client, RowFailedError, shown, told
from loadtest.check.row import row
from loadtest.check.server import Server
from loadtest.check.wire import is_error

CROWD: Final = 1_000
"""Clients at once, at most."""

_BOUND: Final = 32_000_000
"""What one client may add to a server's memory, at most: buffers, and what an allocator keeps."""

_FLOOD: Final = 64_000_000
_UNREAD: Final = 24_000_000  # more than a kernel's buffers for one connection
_LONG: Final = b"ECHO " + b"x" * 60_000 + b"\n"
_SEVERAL: Final = (b"ECHO " + b"x" * 1_000 + b"\n") * 60
_OVERLONG: Final = 1 << 20
_LEFT: Final = 200
_SLACK: Final = 20
_READ_WITHIN: Final = 0.02  # seconds in which a server has read what came, mostly


@row()
def half_close(server: Server) -> None:
    """A client that has said it sends no more still gets its reply; then the server closes."""
    for turn in range(20):
        with server.client() as client:
            client.send(b"ECHO last of %d\n" % turn)
            client.half_close()
            client.expect(b"OK last of %d\n" % turn)
            client.expect_end()


@row(after=("half-close",))
def cut_off(server: Server) -> None:
    """Input that ends without a newline is answered with ERR or the end of the connection, never with OK."""
    with server.client() as client:
        client.echo(b"whole")
        client.send(b"ECHO cut o")
        client.half_close()
        came, end = client.rest()
        if not _refused(came, end):
            raise client.failure(told(came, end), f"ERR, or {CLOSED}")


def _refused(came: bytes, end: str) -> bool:
    """Return whether a line got an ERR line or, without a byte, the end of the connection."""
    return is_error(came) or (not came and end in {CLOSED, RESET})


@row()
def reset(server: Server) -> None:
    """Clients that reset the connection (RST), idle or within a line, a request or a reply, disturb nobody else."""
    for turn in range(_LEFT):
        with server.client() as client:
            if turn % 4 == 1:
                client.send(b"ECHO amid a li")
            elif turn % 4 == 2:
                client.send(b"ECHO unread\n" * 200)
            elif turn % 4 == 3:
                client.send(_SEVERAL * 2)
                client.socket.settimeout(PATIENCE)
                with suppress(OSError):  # it may have ended by an earlier one, which shows afterwards
                    client.socket.recv(100)
            client.reset()


@row(after=("half-close", "reset"), process=True)
def leaving(server: Server) -> None:
    """Clients that have left leave no open socket behind."""
    before = server.look().sockets
    for turn in range(_LEFT):
        with server.client() as client:
            client.echo(b"in")
            if turn % 2:
                client.reset()
    if more := server.wait_while(lambda: max(0, server.look().sockets - before - _SLACK), PATIENCE):
        came = f"{_SLACK + more} more open sockets"
        raise RowFailedError(f"{_LEFT} clients, one after another, all have left", came, f"{_SLACK} at most")


@row(after=("reset", "long-line"))
def overlong_line(server: Server) -> None:
    """A line of 1 MiB is answered whole, or refused with ERR, or its connection is closed; the server goes on."""
    line = b"ECHO " + b"x" * (_OVERLONG - 5)
    with server.client() as client:
        client.send(line + b"\n")
        came, end = client.receive(1, len(line))
        if not _refused(came, end) and came != b"OK " + line[5:] + b"\n":
            raise client.failure(told(came, end), f"{shown(b'OK ' + line[5:])}, or ERR, or the end of the connection")


@row(after=("overlong-line",), process=True)
def endless_line(server: Server) -> None:
    """A line that never ends takes no more than 32 MB of memory."""
    with server.client() as client:
        client.echo(b"in")
        _feed(server, client, b"x" * 10**6, "a line without an end")


@row(after=("reset",), process=True)
def unread_memory(server: Server) -> None:
    """A client that keeps sending and reads no reply takes no more than 32 MB of memory."""
    with server.client(small=True) as client:
        client.echo(b"in")
        _feed(server, client, _SEVERAL * 16, "requests whose replies nobody reads")


def _feed(server: Server, client: Client, data: bytes, what: str) -> None:
    """Send `data` again and again until no more is taken; the server's memory must stay bounded."""
    before = server.look().memory
    sent = 0
    while sent < _FLOOD:
        taken = client.send_until_full(data, len(data))
        sent += taken
        grown = server.look().memory - before
        if grown > _BOUND:
            came = f"{grown / 1e6:.0f} MB more memory after {sent / 1e6:.0f} MB"
            raise RowFailedError(what, came, f"{_BOUND / 1e6:.0f} MB more at most")
        if client.ended or taken < len(data):
            return


@row(after=("reset", "order"))
def late_reader(server: Server) -> None:
    """A client that first sends until no more is taken, and then reads, gets its replies whole, or is disconnected."""
    with server.client(small=True) as client:
        requests, rest = divmod(client.send_until_full(_LONG, _UNREAD), len(_LONG))
        reply = b"OK" + _LONG[4:]
        for number in range(requests + (rest > 0)):
            if number == requests:
                client.send(_LONG[rest:])
            came, end = client.receive(1, len(reply))
            if end in {CLOSED, RESET} and reply.startswith(came):
                return
            if came != reply:
                raise RowFailedError("requests of 60 kB, then reading", told(came, end), shown(reply))
        client.echo(b"on")


@row(clients=2)
def second(server: Server) -> None:
    """A second client is served while the first stays (if it serves one at a time: --serves 1)."""
    with server.client() as first, server.client() as other:
        for turn in range(3):
            for name, client in ((b"first", first), (b"second", other)):
                client.echo(b"%b, %d" % (name, turn))


@row(clients=2, after=("second",))
def own_replies(server: Server) -> None:
    """Clients that ask at the same time each get their own replies."""
    with server.client() as first, server.client() as other:
        for turn in range(200):
            texts = [(client, b"%b, %d" % (name, turn)) for name, client in ((b"one", first), (b"another", other))]
            for client, text in texts:
                client.send(b"ECHO " + text + b"\n")
            for client, text in texts:
                client.expect(b"OK " + text + b"\n")


@row(clients=2, after=("second",))
def silent_client(server: Server) -> None:
    """While a client that has connected says nothing, another is served."""
    with server.client() as silent, server.client() as other:
        _serves(other, "one client connects and says nothing; another sends")
        silent.echo(b"at last")


@row(clients=2, after=("second", "split"))
def dripping_client(server: Server) -> None:
    """While a client sends its line byte by byte, another is served."""
    with server.client() as dripping, server.client() as other:
        for client in (dripping, other):
            client.echo(b"in")
        for byte in b"ECHO drip":
            dripping.send(bytes([byte]))
            server.interrupt.sleep(_READ_WITHIN)
            _serves(other, "one client has sent part of a line; another sends")
        dripping.ask(b"\n", b"OK drip\n")


@row(clients=2, after=("second", "reset"))
def slow_reader(server: Server) -> None:
    """While a client keeps sending and reads no reply, another is served."""
    with server.client(small=True) as unread, server.client() as other:
        for client in (unread, other):
            client.echo(b"in")
        unread.send_until_full(_SEVERAL, _UNREAD)
        _serves(other, "one client keeps sending and reads nothing; another sends")


def _serves(other: Client, what: str) -> None:
    """Another client must be served; what: who else is there."""
    for turn in range(5):
        try:
            other.echo(b"%d" % turn)
        except RowFailedError as failed:
            raise RowFailedError(f"{what} {failed.sent}", failed.came, failed.expected) from failed


@row(clients=2, after=("own-replies",))
def crowd(server: Server) -> None:
    """`--serves` clients at once (1,000 at most) are all served."""
    number = min(CROWD, server.serves)
    clients: list[Client] = []
    answered = 0
    try:
        while len(clients) < number:
            clients.append(server.client())
        for turn in range(2):
            for place, client in enumerate(clients):
                client.send(b"ECHO %d in turn %d\n" % (place, turn))
            for place, client in enumerate(clients):
                client.expect(b"OK %d in turn %d\n" % (place, turn))
                answered = max(answered, place + 1)
    except RowFailedError as failed:
        came = f"{len(clients):,} connected, {answered:,} answered; the next got {failed.came}"
        expected = f"{number:,} answered; if it takes fewer, say so: --serves"
        raise RowFailedError(f"{number:,} clients, an ECHO each", came, expected) from failed
    finally:
        for client in clients:
            client.socket.close()
