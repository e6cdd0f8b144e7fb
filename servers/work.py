"""What a WORK request does on the CPU, the same in every server; how to wait is the model's own."""


def burn(rounds: int) -> int:
    """
    Run `rounds` rounds of pure Python, which hold the GIL as a request's own code does.

    A round is a step of a linear congruential generator (constants: Numerical Recipes, 2nd ed., 7.1), about 40 ns.
    Returning the last state prevents that the loop is optimised away.
    """
    state = 1
    for _ in range(rounds):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
    return state
