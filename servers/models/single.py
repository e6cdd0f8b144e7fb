"""One client at a time, as a textbook's first server; the next client waits in the accept queue."""

from servers.connections.blocking import BlockingConnection, BlockingListener


def serve(listener: BlockingListener) -> None:
    """Serve each client to the end before the next is accepted."""
    while connection := listener.accept():
        converse(connection)


def converse(connection: BlockingConnection) -> None:
    """Answer the client until it ends."""
    with connection as session:  # and close the connection, whatever happens
        while data := connection.receive():
            for reply, pause in session.answer(data):
                connection.send(reply)
                if pause is not None:
                    connection.wait(pause)
