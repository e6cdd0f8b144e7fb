"""The recorder's clients: which count as served, the fairness, and the longest wait."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.recording.client_stats import OUTSIDE, ClientStats
from loadtest.recording.counters import BREAKS, Counters
from loadtest.recording.histogram import Histogram, Quantile
from loadtest.recording.recorder import unpack
from tests.support.load.recorders import answer, connected, counters, recorder, served


def test_a_client_counts_once_in_a_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    often, once, never = (found.client("single") for _ in range(3))
    for client_stats, times in ((often, 3), (once, 1), (never, 1)):
        client_stats.started()
        for _ in range(times):
            client_stats.connecting(clock())
            client_stats.connected_at(clock.after(30))
            if client_stats is not never:
                client_stats.sent(clock())
                client_stats.verified(clock.after(50))
            client_stats.left()
    first = counters(found, 1)
    assert (first.clients_connected, first.clients_served) == (3, 2)
    assert (first.connections["connected"], first.verified) == (5, 4)
    found.begin(2)
    once.connecting(clock())
    once.connected_at(clock.after(30))
    second = counters(found, 2)
    assert (second.clients_connected, second.clients_served) == (1, 0)


def test_a_client_served_in_the_warmup_is_served() -> None:
    found, clock = recorder()
    found.begin(1)
    silent, asking, lately, unserved = (connected(found, clock) for _ in range(4))
    for client_stats in (silent, asking, lately):
        client_stats.sent(clock())
        client_stats.verified(clock.after(50))
    found.begin(2)
    asking.sent(clock())
    unserved.sent(clock())
    lately.sent(clock.after(1))
    clock.after(999_999)
    [*_, part] = unpack(found.report())
    assert (part.gauges["single"].served, part.gauges["single"].unserved) == (3, 2)
    found.close()
    counted = counters(found, 2)
    assert (part.counters["single"].clients_connected, counted.clients_served, counted.unanswered) == (4, 2, 3)


def test_a_client_stopped_early_was_served_too() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    found.begin(2)
    client_stats.stopped(clock.after(100))
    client_stats.stopped(clock.after(100))
    found.close()
    counted = counters(found, 2)
    assert (counted.clients_connected, counted.clients_served) == (1, 1)


def test_stopped_clients_are_served_if_they_had_replies() -> None:
    found, clock = recorder()
    found.begin(1)
    asking, answered = served(found, clock), served(found, clock)
    gone = served(found, clock)
    gone.left()
    unserved = connected(found, clock)
    found.begin(2)
    asking.sent(clock())
    answered.sent(clock())
    answered.verified(clock.after(50))
    clock.after(1_000_000)
    for client_stats in (asking, answered, gone, unserved):
        client_stats.stopped(clock())
    found.close()
    counted = counters(found, 2)
    assert (counted.clients_connected, counted.clients_served, counted.abandoned) == (3, 1, 1)


@pytest.mark.parametrize(
    ("replies", "index"),
    [((9, 0, 0, 0), 0.25), ((7, 7, 0, 0), 0.5), ((3, 3, 3, 3), 1.0), ((1, 2, 3, 4), 100 / 120), ((5,), 1.0)],
    ids=["one is served", "half are", "equal shares", "unequal shares", "a single client"],
)
def test_fairness_is_jains_index_over_the_clients_connected(replies: tuple[int, ...], index: float) -> None:
    found, clock = recorder()
    found.begin(1)
    for number in replies:
        answer(connected(found, clock), clock, number)
    found.client("single").started()  # one that has no connection in the window is not among them
    found.close()
    assert counters(found, 1).fairness == index


def test_without_replies_there_is_no_fairness() -> None:
    found, clock = recorder()
    found.begin(1)
    connected(found, clock).sent(clock())
    found.close()
    assert counters(found, 1).fairness is None
    assert Counters().fairness is None


def test_fairness_forgets_the_warmups_replies() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    answer(one, clock, 100)
    other.sent(clock())
    found.begin(2)
    other.verified(clock.after(50))  # carried: it counts where it ends
    answer(one, clock, 3)
    found.report()
    found.begin(3)
    answer(other, clock, 2)
    found.close()
    counted = counters(found, 3)
    assert (counted.clients_connected, counted.verified, counted.squares, counted.fairness) == (2, 2, 4, 0.5)


def test_fairness_does_not_depend_on_reports() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    pooled = Counters()
    for _ in range(3):
        answer(one, clock, 2)
        answer(other, clock, 1)
        pooled.add(counters(found, 1))
        assert pooled.fairness == 9 / 10
    assert pooled.squares == 6**2 + 3**2
    found.close()
    assert counters(found, 1).squares == 0


def test_a_client_that_reconnects_is_one_client() -> None:
    found, clock = recorder()
    found.begin(1)
    one, other = connected(found, clock), connected(found, clock)
    answer(other, clock, 6)
    for ends in (one.left, lambda: one.stopped(clock()), one.left):
        answer(one, clock, 2)
        ends()
        one.connecting(clock())
        one.connected_at(clock.after(30))
    found.close()
    counted = counters(found, 1)
    assert (counted.clients_connected, counted.squares, counted.fairness) == (2, 6**2 + 6**2, 1.0)


def test_a_client_stopped_mid_phase_still_counts() -> None:
    found, clock = recorder()
    found.begin(1)
    going, staying, idle = (connected(found, clock) for _ in range(3))
    answer(going, clock, 2)
    going.stopped(clock())
    going.stopped(clock())
    pooled = counters(found, 1)
    answer(staying, clock, 4)
    idle.stopped(clock())
    found.close()
    pooled.add(counters(found, 1))
    assert (pooled.verified, pooled.squares, pooled.clients_connected) == (6, 2**2 + 4**2, 3)
    assert pooled.fairness == 36 / 60


def test_a_warmups_replies_stay_out_of_the_phase() -> None:
    found, clock = recorder()
    found.begin(1)
    content = served(found, clock)
    found.begin(2)
    content.left()
    content.connecting(clock())
    content.connected_at(clock.after(30))
    answer(content, clock, 1)
    found.close()
    counted = counters(found, 2)
    assert (counted.clients_served, counted.verified, counted.squares) == (1, 1, 1)


SHARING = st.sampled_from(["answer", "answer", "answer", "leave", "stop", "report", "phase", "close"])


@given(st.lists(st.tuples(st.integers(0, 2), SHARING), max_size=60))
def test_every_verified_reply_is_in_one_share(actions: list[tuple[int, str]]) -> None:
    """Three clients are answered, leave, are stopped and come back, between reports, phases and ends."""
    found, clock = recorder()
    clients = [found.client("single") for _ in range(3)]
    shares: dict[int, Counter[ClientStats]] = {}
    pooled: dict[int, Counters] = {}
    latest = 1
    found.begin(latest)

    def collect() -> None:
        for part in unpack(found.report()):
            pooled.setdefault(part.phase, Counters()).add(part.counters.get("single", Counters()))

    for number, action in [*actions, (0, "report"), (0, "close"), (0, "report")]:
        client_stats = clients[number]
        if action == "report":
            collect()
            if found.phase == latest:
                shared = sum(each.replies for each in clients if each.served_in == latest)
                assert shared == pooled[latest].verified
        elif action == "phase":
            latest += 1
            found.begin(latest)
        elif action == "close":
            found.close()
        elif action == "leave":
            client_stats.left()
        elif action == "stop":
            client_stats.stopped(clock.after(17))
        else:
            if not client_stats.connected:
                client_stats.connecting(clock.after(17))
                client_stats.connected_at(clock.after(17))
            answer(client_stats, clock, 1)
            shares.setdefault(found.phase, Counter())[client_stats] += 1
    for phase, counted in pooled.items():
        share = shares.get(phase, Counter())
        assert counted.verified == share.total()
        if phase != OUTSIDE:
            assert counted.squares == sum(replies**2 for replies in share.values())
            assert len(share) <= counted.clients_connected


@pytest.mark.parametrize(
    ("response", "first_reply", "waiting", "waiting_first", "expected"),
    [
        ({50: 9}, {7000: 1}, {}, {}, Quantile(7000, at_least=False)),
        ({50: 9, 8000: 1}, {7000: 1}, {60: 1}, {90: 1}, Quantile(8000, at_least=False)),
        ({50: 9}, {700: 1}, {60: 1}, {9000: 2}, Quantile(9000, at_least=True)),
        ({50: 9}, {}, {50: 1}, {}, Quantile(50, at_least=True)),
        ({}, {}, {0: 1}, {}, Quantile(0, at_least=True)),
        ({}, {0: 1}, {}, {}, Quantile(0, at_least=False)),
        ({}, {}, {}, {}, None),
    ],
)
def test_the_longest_wait_includes_those_still_waiting(
    response: Histogram, first_reply: Histogram, waiting: Histogram, waiting_first: Histogram, expected: Quantile | None
) -> None:
    longer = {90_000_000: 1}  # no wait for a reply, or not all of it
    counted = Counters(
        histograms={"response": response, "first_reply": first_reply, "connect": longer, "service": longer},
        censored={"response": waiting, "first_reply": waiting_first, "connect": longer, "service": longer},
    )
    assert counted.longest_wait == expected


@pytest.mark.parametrize("what", ["outcomes", "connections"])
def test_who_gave_up_would_have_waited_longer(what: str) -> None:
    counted = Counters(histograms={"response": {50: 9}, "first_reply": {5_000_000: 1}, "connect": {}, "service": {}})
    assert counted.longest_wait == Quantile(5_000_000, at_least=False)
    getattr(counted, what)["timeout"] = 1
    assert counted.longest_wait == Quantile(5_000_000, at_least=True)


def test_waiting_in_vain_is_the_longest_wait() -> None:
    found, clock = recorder()
    found.begin(1)
    busy, waiting = connected(found, clock), connected(found, clock)  # 30 us after one another
    waiting.sent(clock())
    found.begin(2)
    answer(busy, clock, 100)
    found.close()
    assert counters(found, 2).longest_wait == Quantile(5030, at_least=True)  # from the warm-up on


@pytest.mark.parametrize("how", BREAKS)
def test_an_idle_connection_that_breaks_fails_no_request(how: str) -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = connected(found, clock)
    client_stats.sent(clock())
    client_stats.verified(clock.after(50))
    client_stats.broke(how)
    client_stats.left()
    counted = counters(found, 1)
    assert counted.breaks == {**dict.fromkeys(BREAKS, 0), how: 1}
    assert (sum(counted.outcomes.values()), counted.verified, counted.imbalance) == (1, 1, 0)
