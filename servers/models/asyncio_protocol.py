"""An event loop without `await` in a conversation: the loop calls `receive`, which never waits."""

from asyncio import TaskGroup

from servers.connections.protocol import ProtocolConnection, ProtocolListener


async def serve(listener: ProtocolListener) -> None:
    """Make the loop call `receive` for each client, and accept the next at once."""
    async with TaskGroup() as tasks:
        while connection := await listener.accept():
            tasks.create_task(connection.call(receive))


def receive(connection: ProtocolConnection, data: bytes) -> None:
    """Answer what the client has sent; after `wait` the loop calls this again, with no data."""
    session = connection.session
    for reply, pause in session.answer(data):
        connection.send(reply)
        if pause is not None:
            connection.wait(pause)
            return
    if session.outcome:
        connection.close()
