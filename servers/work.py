"""What a request does: the same in every server."""

from servers.wire import Command, Request


def perform(request: Request) -> float:
    """
    Do a request's work on the CPU, and return the seconds that it must still wait before its reply.

    The wait is left to the caller, because how to wait is just what the concurrency models differ in.
    """
    if request.command is Command.SLEEP:
        return request.amount / 1000
    if request.command is Command.WORK:
        burn(request.amount)
    return 0.0


def burn(rounds: int) -> int:
    """
    Keep the CPU busy with `rounds` rounds of pure Python, which hold the GIL as a request's own code does.

    A round is a step of a linear congruential generator (constants: Numerical Recipes, 2nd ed., 7.1), about 40 ns;
    the last state is returned, so that nothing can be optimised away.
    """
    state = 1
    for _ in range(rounds):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
    return state
