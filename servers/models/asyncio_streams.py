"""An event loop: one thread serves all clients; at each `await` it may switch to another that has sent something."""

from asyncio import TaskGroup

from servers.connections.streams import StreamConnection, StreamListener


async def serve(listener: StreamListener) -> None:
    """Start a task for each client, and accept the next while the others wait."""
    async with TaskGroup() as tasks:
        while connection := await listener.accept():
            tasks.create_task(converse(connection))


async def converse(connection: StreamConnection) -> None:
    """Answer the client until it ends."""
    async with connection as session:  # and close the connection, whatever happens
        while data := await connection.receive():
            for reply, pause in session.answer(data):
                await connection.send(reply)
                if pause is not None:
                    await connection.wait(pause)
