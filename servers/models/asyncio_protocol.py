"""An event loop and no `await` in a conversation: the loop calls `receive`, and nothing here waits."""

from asyncio import TaskGroup

from servers.connections.protocol import ProtocolConnection, ProtocolListener
from servers.session import Answers


async def serve(listener: ProtocolListener) -> None:
    """Have the loop call `receive` for each client, and accept the next at once."""
    async with TaskGroup() as tasks:
        while connection := await listener.accept():
            tasks.create_task(connection.call(receive))


def receive(connection: ProtocolConnection, data: bytes) -> None:
    """Answer what the client has sent: the loop calls this each time."""
    converse(connection, iter(connection.session.answer(data)))


def converse(connection: ProtocolConnection, answers: Answers) -> None:
    """Send what is left of the answers; `wait` has the loop call this again after a pause."""
    for reply, pause in answers:
        connection.send(reply)
        if pause is not None:
            connection.wait(pause, converse, answers)
            return
    if connection.session.outcome:
        connection.close()
