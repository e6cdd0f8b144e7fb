"""The part that all connections share: an accepted socket, its session, and how its end is counted."""

import socket
import time
import traceback
from typing import Final

from servers.connections.listener import Listener
from servers.connections.timeouts import UnreadError
from servers.session import Deadlines, Session

CHUNK: Final = 64 * 1024
"""Bytes per read, at most; a Protocol gets what the loop has read, up to 256 KiB."""


class Connection:
    """An accepted client. session: the conversation with it, once it has begun."""

    __slots__ = ("_accepted", "_client", "_listener", "session")

    session: Session

    def __init__(self, client: socket.socket, listener: Listener) -> None:
        self._client = client
        self._listener = listener
        self._accepted = time.monotonic()

    @property
    def _deadlines(self) -> Deadlines:
        return self._listener.deadlines

    def refuse(self, kind: str, reason: str) -> None:
        """Send the client one line that says why it is not served, and close; never blocks."""
        self._listener.refuse(self._client, kind, reason)

    def _begin(self) -> Session:
        """Begin the session; call it in the thread that serves it."""
        self.session = self._listener.begin(time.monotonic() - self._accepted)
        return self.session

    def _end(self, trouble: BaseException | None) -> None:
        """Close the client's socket and count how the session ended; an error does not affect other clients."""
        outcome = self.session.outcome or "failed"
        if isinstance(trouble, UnreadError):
            self.session.counts.failed("unread")
            outcome = "unread"
        elif isinstance(trouble, OSError):
            outcome = "reset"
        elif trouble is not None:
            self.session.counts.failed("internal")
            traceback.print_exception(trouble)
            outcome = "failed"
        elif outcome == "closed" and self._listener.stopping:
            outcome = "shutdown"
        self._listener.end(self._client, self.session, outcome)
