"""What a queue does to known arrivals, and to Poisson arrivals by the textbook (M/D/1)."""

from collections import defaultdict
from collections.abc import Iterable
from math import exp, factorial, fsum
from typing import NamedTuple


class Due(NamedTuple):
    """A request: its text, and when it was due."""

    text: str
    when: int


def replay(dues: Iterable[Due], served: Iterable[tuple[str, int]]) -> list[int]:
    """
    Return the response times (nanoseconds) if nothing but the queue delays the requests.

    served: texts and service times, in the order of service. One server, as in Lindley's recursion; but a client has
    one connection, and sends no request before the last one's reply is there.
    """
    requests = {due.text: due for due in dues}
    free = 0
    answered: dict[str, int] = defaultdict(int)
    found = []
    for text, took in served:
        due = requests[text]
        client = text.partition(".")[0]
        free = answered[client] = max(free, due.when, answered[client]) + took
        found.append(free - due.when)
    return found


def exact_quantile(durations: list[int], fraction: float) -> float:
    """Return a quantile in microseconds."""
    return sorted(durations)[int(fraction * len(durations))] / 1000


def md1_quantile(load: float, service: float, fraction: float) -> float:
    """
    Return a quantile of the response times of M/D/1, in the unit of `service`.

    The waiting time's distribution is Erlang's (1909); see Iversen and Staalhagen, "Waiting time distribution in M/D/1
    queueing systems", Electronics Letters 35 (1999).
    """

    def share_within(wait: float) -> float:
        turns = (load * (wait - number) for number in range(int(wait) + 1))
        return (1 - load) * fsum((-turn) ** number / factorial(number) * exp(turn) for number, turn in enumerate(turns))

    low, high = 0.0, 20.0  # of service times; beyond, the alternating sum loses its digits
    for _ in range(60):
        middle = (low + high) / 2
        if share_within(middle) < fraction:
            low = middle
        else:
            high = middle
    return (1 + high) * service
