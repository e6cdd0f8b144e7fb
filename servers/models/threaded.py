"""A thread per client: while one waits, the operating system lets another run, one at a time under the GIL."""

from threading import Thread

from servers.connections.blocking import BlockingConnection, BlockingListener


def serve(listener: BlockingListener) -> None:
    """Start a thread for each client, and accept the next at once."""
    while connection := listener.accept():
        try:
            Thread(target=converse, args=(connection,)).start()
        except RuntimeError:  # the operating system gives no more threads
            connection.refuse("threads", "no thread left; try again later")


def converse(connection: BlockingConnection) -> None:
    """Answer the client until it ends."""
    with connection as session:  # and close the connection, whatever happens
        while data := connection.receive():
            for reply, pause in session.answer(data):
                connection.send(reply)
                if pause is not None:
                    connection.wait(pause)
