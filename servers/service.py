"""What a driver is given, whatever way it moves bytes: the deadlines, the books, and the ends of conversations."""

import socket
import traceback
from time import monotonic
from typing import Final

from servers.conversation import Conversation, Deadlines, LastCall
from servers.ledger import Ledger
from servers.listener import Listener

CHUNK: Final = 64 * 1024
"""Bytes read at once, at most, where a driver reads; a Protocol is handed what the loop has read, up to 256 KiB."""


class UnreadError(OSError):
    """The client has not taken its replies by the write deadline."""


class Service:
    """One server's deadlines, ledger and listener, and whether it is shutting down."""

    def __init__(self, deadlines: Deadlines, ledger: Ledger, listener: Listener) -> None:
        self.deadlines = deadlines
        self._ledger = ledger
        self._listener = listener
        self._stopping = False
        self._last_call = LastCall()

    def stop(self, patience: float) -> None:
        """
        Accept no more, and let every client's input end: what has begun is finished. Call it from any thread.

        patience: seconds for which what a client goes on sending is still taken up, so that it cannot go on for ever.
        """
        self._stopping = True
        self._last_call.at = monotonic() + patience
        self._listener.close()
        self._listener.hang_up()

    def begin(self) -> Conversation:
        """Return a conversation for the driver to have with a client."""
        return Conversation(self.deadlines, self._ledger.enter(), self._last_call)

    def end(self, client: socket.socket, talk: Conversation, trouble: BaseException | None = None) -> None:
        """Close the client's socket and count how the conversation ended; trouble with it is that client's affair."""
        outcome = talk.outcome or "failed"
        if isinstance(trouble, UnreadError):
            talk.tally.failed("unread")
            outcome = "unread"
        elif isinstance(trouble, OSError):
            outcome = "reset"
        elif trouble is not None:
            talk.tally.failed("internal")
            traceback.print_exception(trouble)
            outcome = "failed"
        elif outcome == "closed" and self._stopping:
            outcome = "shutdown"
        client.close()
        self._ledger.leave(talk.tally, outcome)
        self._listener.clients.discard(client)
