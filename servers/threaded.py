"""A thread per client: while one waits, the operating system lets another run, one at a time under the GIL."""

from collections.abc import Callable
from socket import socket
from threading import Thread

from servers.listener import Listener


def serve(listener: Listener, converse: Callable[[socket], None]) -> None:
    """Start a thread for each client, and accept the next at once."""
    for client in listener:
        try:
            Thread(target=converse, args=(client,)).start()
        except RuntimeError:  # the operating system gives no more threads
            listener.refuse(client, "threads", "no thread left; try again later")
