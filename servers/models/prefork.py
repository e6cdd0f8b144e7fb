"""Several processes, forked before the first client comes: each has an event loop, and a GIL of its own."""

from asyncio import TaskGroup

from servers.connections.streams import StreamConnection, StreamListener
from servers.workers.supervisor import Workers


def serve(workers: Workers) -> None:
    """Fork a process for each worker, then one for each that dies; the kernel gives each client to one of them."""
    while worker := workers.missing():
        worker.fork(accept)


async def accept(listener: StreamListener) -> None:
    """In a worker: start a task for each client, and accept the next while the others wait."""
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
