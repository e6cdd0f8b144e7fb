"""What a request does on the CPU: the same in every server. How to wait is left to them: there the models differ."""


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
