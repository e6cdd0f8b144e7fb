"""The event loops that a server may choose from, by name. An import of one that is not installed raises ImportError."""

import asyncio
import importlib
from collections.abc import Callable
from functools import partial
from socket import socket
from types import SimpleNamespace
from typing import Any, Final, cast

from servers.connections.protocol import ProtocolConnection
from servers.event_loop import NewLoop


class _Replaceable:
    """
    A transport of rloop 0.5, which has no set_protocol(): it keeps the protocol's methods as they are at first.

    protocol: what rloop gets in place of the protocol. Its data_received is a partial, whose function can be replaced;
    calling through it takes some 30 ns.
    """

    def __init__(self, protocol: ProtocolConnection) -> None:
        self.protocol = SimpleNamespace(
            connection_made=self._made,
            data_received=partial(protocol.data_received),
            eof_received=protocol.eof_received,
            pause_writing=protocol.pause_writing,
            resume_writing=protocol.resume_writing,
            connection_lost=protocol.connection_lost,
        )
        self._made_first = protocol.connection_made

    def _made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._made_first(cast("asyncio.Transport", self))

    def __getattr__(self, name: str) -> object:
        its: object = getattr(self._transport, name)
        return its

    def set_protocol(self, protocol: ProtocolConnection) -> None:
        """Make the loop call the data_received that the protocol has now."""
        self.protocol.data_received.__setstate__((protocol.data_received, (), {}, {}))


def _rloop() -> NewLoop:
    """Return what makes loops of rloop 0.5, with what a server needs and rloop lacks."""
    base: Any = importlib.import_module("rloop").RLoop

    class Loop(base):  # type: ignore[misc]
        async def connect_accepted_socket(
            self, protocol_factory: Callable[[], ProtocolConnection | asyncio.StreamReaderProtocol], sock: socket
        ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
            """Do what asyncio's does. On a descriptor of its own, because rloop takes it from the socket."""
            protocol = protocol_factory()
            # asyncio's streams never replace theirs.
            shown = _Replaceable(protocol).protocol if isinstance(protocol, ProtocolConnection) else protocol
            transport, _ = await self.create_connection(lambda: shown, sock=sock.dup())
            return transport, protocol

        def add_reader(self, fd: socket, callback: Callable[[], object]) -> None:
            super().add_reader(fd.fileno(), callback)

        def remove_reader(self, fd: socket) -> bool:
            return bool(super().remove_reader(fd.fileno()))

    return Loop


_FACTORIES: Final[dict[str, Callable[[], NewLoop]]] = {
    "uvloop": lambda: importlib.import_module("uvloop").new_event_loop,
    "asyncio": lambda: asyncio.new_event_loop,
    "rloop": _rloop,
}


def factory(name: str) -> NewLoop:
    """Return what makes an event loop of this name; ImportError if it is not installed."""
    return _FACTORIES[name]()
