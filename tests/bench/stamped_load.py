"""
The load's locustfile, which leaves beside its result when each request was due and when the kernel had its reply.

The kernel's stamp is that of SO_TIMESTAMPING, read beside what the load itself reads; what ships records nothing of the
kind. A `Stamped` for each request goes into the file that TCPLAB_STAMPS names, as JSON.
"""

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any, Final

from locust import events

from loadtest.client.connection import ClientConnection
from loadtest.client.recorded_user import RECORDER
from loadtest.locustfile import user_class
from loadtest.recording.client_stats import OUTSIDE, ClientStats
from servers.variants import VARIANTS
from tests.bench.stamps import Stamped

# asm-generic/socket.h and linux/net_tstamp.h; not in the socket module
_SO_TIMESTAMPING: Final = 37
_RX_SOFTWARE: Final = 1 << 3
_SOFTWARE: Final = 1 << 4
_SPACE: Final = 256

_open: dict[ClientStats, tuple[bytes, int]] = {}  # the request of each client, and when it was due
_stamps: dict[ClientStats, int] = {}
_log: list[tuple[bytes, int, int, int]] = []  # tuples, which the garbage collector needn't walk through
_connect, _dispatch, _verified = ClientConnection._connect, ClientConnection._dispatch, ClientStats.verified


def _connect_with_stamps(self: ClientConnection, now: int) -> bool:
    connecting = _connect(self, now)
    if self._socket is not None:
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)
        receive, client_stats = self._receive_message, self._client_stats

        def receive_with_stamp(size: int, _space: int) -> Any:
            data, ancillary, flags, address = receive(size, _SPACE)
            for _, kind, stamp in ancillary:
                if kind == _SO_TIMESTAMPING:
                    seconds, nanoseconds = struct.unpack_from("qq", stamp)
                    _stamps[client_stats] = seconds * 10**9 + nanoseconds
            return data, [each for each in ancillary if each[1] != _SO_TIMESTAMPING], flags, address

        self._receive_message = receive_with_stamp  # type: ignore[assignment]
    return connecting


def _dispatch_with_due(self: ClientConnection, request: bytes, now: int) -> bool:
    client_stats = self._client_stats
    _open[client_stats] = request, client_stats._asked
    return _dispatch(self, request, now)


def _verified_with_phase(self: ClientStats, now: int) -> int:
    _log.append((*_open.pop(self), _stamps.pop(self, 0), RECORDER.phase if self.served else OUTSIDE))
    return _verified(self, now)


ClientConnection._connect = _connect_with_stamps  # type: ignore[method-assign]
ClientConnection._dispatch = _dispatch_with_due  # type: ignore[method-assign]
ClientStats.verified = _verified_with_phase  # type: ignore[method-assign]


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _write(**_: object) -> None:
    window = max(phase for _, _, _, phase in _log)
    log = [*_log, *((request, due, 0, OUTSIDE) for request, due in _open.values())]
    told = [
        Stamped(request.decode().split(" ", 1)[1].strip(), due, stamp, phase == window)
        for request, due, stamp, phase in log
    ]
    Path(os.environ["TCPLAB_STAMPS"]).write_text(json.dumps(told))


[AsyncioUser] = [user_class(variant) for variant in VARIANTS if variant.name == "asyncio"]
