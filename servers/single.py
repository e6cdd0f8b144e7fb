"""One client at a time: the textbook's first server. The next client waits in the accept queue."""

from collections.abc import Callable
from socket import socket

from servers.listener import Listener


def serve(listener: Listener, converse: Callable[[socket], None]) -> None:
    """Converse with each client to the end of its connection before the next is accepted."""
    for client in listener:
        converse(client)
