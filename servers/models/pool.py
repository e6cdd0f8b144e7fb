"""
A bounded pool of threads: each serves a client to its end, and the next client waits until a thread is free.

Without the GIL one may rarely wait for longer: ThreadPoolExecutor can count a thread as idle that has just begun to
work, and then starts no other (Python 3.13.5; CPython's pull request 133957 describes such a window).
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from servers.connections.blocking import BlockingConnection, BlockingListener


def serve(listener: BlockingListener) -> None:
    """Hand each client to the pool, which has at most --threads threads."""
    with ThreadPoolExecutor(listener.threads) as pool:
        while connection := listener.accept():
            with suppress(RuntimeError):  # the operating system gives no more threads: it waits for one there is
                pool.submit(converse, connection)


def converse(connection: BlockingConnection) -> None:
    """Answer the client until it ends."""
    with connection as session:  # and close the connection, whatever happens
        while data := connection.receive():
            for reply, pause in session.answer(data):
                connection.send(reply)
                if pause is not None:
                    connection.wait(pause)
