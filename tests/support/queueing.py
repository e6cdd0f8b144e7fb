"""What a queue does to known arrivals: a run's own, replayed, and M/D/1 from the textbook."""

from collections import defaultdict
from collections.abc import Iterable
from math import exp, factorial, fsum
from typing import NamedTuple

DUES = """
import json
import os
from pathlib import Path

from locust import events

from loadtest.client.connection import ClientConnection
from loadtest.client.recorded_user import RECORDER
from loadtest.recording.client_stats import ClientStats

log = []
latest = {}
dispatch, verified = ClientConnection._dispatch, ClientStats.verified

def log_dispatch(self, request, now):
    entry = [request, self._client_stats._asked, 0]
    log.append(entry)
    latest[self._client_stats] = entry
    return dispatch(self, request, now)

def log_verified(self, now):
    if self.served:
        latest[self][2] = RECORDER.phase
    return verified(self, now)

ClientConnection._dispatch, ClientStats.verified = log_dispatch, log_verified

@events.quitting.add_listener
def _(**_):
    window = max(entry[2] for entry in log)
    told = [(request.decode().split(" ", 1)[1].strip(), due, phase == window) for request, due, phase in log]
    Path(os.environ["DUES"]).write_text(json.dumps(told))
"""
"""
Lines of a locustfile that leave when each request was due, as JSON in the file that DUES names.

[text, nanoseconds, whether its reply is among the later replies of the run's window], in the order of sending.
"""


class Due(NamedTuple):
    """A request of a run: its text, when it was due, and whether its reply counts."""

    text: str
    when: int
    counts: bool


def replay(dues: Iterable[Due], served: Iterable[tuple[str, int]]) -> list[int]:
    """
    Return the response times (nanoseconds) of the requests that count, had nothing but the queue delayed them.

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
        if due.counts:
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
