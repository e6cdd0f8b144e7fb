"""What a driver is given, whatever way it moves bytes: the deadlines, the books, and the ends of conversations."""

import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from servers.conversation import Conversation, Deadlines
from servers.ledger import Ledger
from servers.listener import Listener

CHUNK: Final = 64 * 1024
"""Bytes read at once, at most; the same in every server."""


class UnreadError(OSError):
    """The client has not taken its replies by the write deadline."""


class Service:
    """One server's deadlines, ledger and listener, and whether it is shutting down."""

    def __init__(self, deadlines: Deadlines, ledger: Ledger, listener: Listener) -> None:
        self.deadlines = deadlines
        self._ledger = ledger
        self._listener = listener
        self._stopping = False

    def stop(self) -> None:
        """Accept no more, and let every client's input end: what has begun is finished. Safe in a signal handler."""
        self._stopping = True
        self._listener.close()
        self._listener.hang_up()

    @contextmanager
    def conversation(self, client: socket.socket) -> Iterator[Conversation]:
        """
        Give the driver a conversation to have with the client; afterwards count how it ended.

        What goes wrong in between is that client's affair: it never reaches the others.
        """
        tally = self._ledger.enter()
        talk = Conversation(self.deadlines, tally)
        outcome = "failed"
        try:
            yield talk
            outcome = talk.outcome or "failed"
            if outcome == "closed" and self._stopping:
                outcome = "shutdown"
        except UnreadError:
            tally.failed("unread")
            outcome = "unread"
        except OSError:
            outcome = "reset"
        except Exception:
            tally.failed("internal")
            traceback.print_exc()
        finally:
            client.close()
            self._ledger.leave(tally, outcome)
            self._listener.clients.discard(client)
