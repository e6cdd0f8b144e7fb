"""The recorder in the open model: requests that are due, late, kept back, unsent."""

import pytest

from loadtest.pacing import Periodic
from loadtest.recording.client_stats import OUTSIDE, ClientStats
from loadtest.recording.histogram import Quantile, quantile
from loadtest.recording.recorder import unpack
from tests.support.load.recorders import connected, counters, recorder, served


def test_response_counts_from_due_service_from_send() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock() - 4_000_000)  # it was held up for 4 ms
    client_stats.sent(clock.after(1_000))
    assert client_stats.verified(clock.after(300)) == 5_300_000
    counted = counters(found, OUTSIDE)
    assert counted.histograms["response"] == {5_300: 1}
    assert counted.histograms["service"] == {300: 1}
    assert counted.late_sends == 0  # the server held it up, not the generator


def test_a_due_time_holds_for_one_request() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock() - 4_000_000)
    client_stats.sent(clock())
    client_stats.verified(clock.after(300))
    client_stats.sent(clock.after(10_000))
    client_stats.verified(clock.after(200))
    counted = counters(found, OUTSIDE)
    assert counted.histograms["response"] == {4_300: 1, 200: 1}
    assert counted.histograms["service"] == {300: 1, 200: 1}


def test_a_timeout_counts_from_due_and_from_send() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock() - 500_000_000)
    client_stats.sent(clock())
    assert client_stats.failed("timeout", clock.after(30_000_000)) == 30_500_000_000
    counted = counters(found, OUTSIDE)
    assert counted.histograms["response"] == {30_500_000: 1}
    assert counted.histograms["service"] == {30_000_000: 1}


def test_a_first_reply_counts_from_its_due_time() -> None:
    found, clock = recorder()
    client_stats = found.client("single")
    client_stats.started()
    client_stats.due(clock())
    client_stats.connecting(clock.after(2_000))
    client_stats.connected_at(clock.after(30))
    client_stats.sent(clock.after(5))
    assert client_stats.verified(clock.after(700)) == 2_735_000
    client_stats.left()
    client_stats.connecting(clock.after(9_000))  # without a schedule it is due from here
    client_stats.connected_at(clock.after(20))
    client_stats.sent(clock())
    client_stats.verified(clock.after(80))
    counted = counters(found, OUTSIDE)
    assert counted.histograms["connect"] == {30: 1, 20: 1}
    assert counted.histograms["first_reply"] == {2_740: 1, 100: 1}
    assert counted.histograms["response"] == {}


@pytest.mark.parametrize("outcome", ["refused", "timeout", "reset", "no_port", "failed"])
def test_a_failed_connect_leaves_its_request_unsent(outcome: str) -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = found.client("single")
    client_stats.started()
    client_stats.due(clock())
    client_stats.connecting(clock.after(2_000))
    assert client_stats.connect_failed(outcome, clock.after(700)) == 700_000
    client_stats.connecting(clock.after(10))  # nothing is due by now: this attempt is no request's
    client_stats.connect_failed("refused", clock.after(10))
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.sent, counted.imbalance) == (1, 0, 0)
    waited = outcome == "timeout"
    assert counted.histograms["connect"] == ({700: 1} if waited else {})
    assert counted.histograms["first_reply"] == ({2_700: 1} if waited else {})


def test_due_unsent_requests_are_censored_at_their_age() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 400_000)
    client_stats.due(client_stats.schedule.take())
    client_stats.sent(clock())
    early = found.client("single")
    early.started()
    early.schedule = Periodic(clock() + 10**9, 10**6)
    clock.after(1_300)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 3
    found.close()
    counted = counters(found, 1)
    assert counted.unsent == 3
    assert counted.unanswered == 1
    assert counted.censored["response"] == {100: 1, 500: 1, 900: 1, 1_300: 1}  # due after 1200, 800, 400 and 0 us
    assert counted.censored["service"] == {1_300: 1}
    assert quantile({50: 4}, 0.5, counted.censored["response"]) == Quantile(50, at_least=False)
    assert quantile({50: 4}, 0.99, counted.censored["response"]) == Quantile(1_300, at_least=True)
    found.close()
    assert counters(found, OUTSIDE).unsent == 0


def test_a_connecting_client_waits_from_its_due_time() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = found.client("single")
    client_stats.started()
    client_stats.due(clock())
    client_stats.connecting(clock.after(2_000))
    clock.after(500)
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.unanswered, counted.sent) == (1, 0, 0)
    assert counted.censored["connect"] == {500: 1}
    assert counted.censored["first_reply"] == {2_500: 1}


def test_a_stopped_client_leaves_unsent_and_schedules_nothing() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 1_000_000)
    client_stats.stopped(clock.after(2_500))
    clock.after(5_000)
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (3, 0, 0)
    assert counted.censored["response"] == {500: 1, 1_500: 1, 2_500: 1}


def test_a_stopped_client_has_nothing_due() -> None:
    found, clock = recorder()
    client_stats = found.client("single")
    client_stats.started()
    client_stats.schedule = Periodic(clock(), 1_000_000)
    client_stats.due(client_stats.schedule.take())
    client_stats.connecting(clock.after(1_500))
    client_stats.stopped(clock())
    client_stats.stopped(clock.after(5_000))
    assert counters(found, OUTSIDE).unsent == 2
    client_stats.started()
    client_stats.connecting(clock.after(7_000))
    client_stats.connected_at(clock.after(30))
    client_stats.sent(clock())
    client_stats.verified(clock.after(100))
    assert counters(found, OUTSIDE).histograms["first_reply"] == {130: 1}


def test_ages_count_to_the_last_look() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 1_000_000)
    looked = clock.after(1_500)
    clock.after(60_000)  # in which nobody looked
    found.close(looked)
    counted = counters(found, 1)
    assert counted.unsent == 2
    assert counted.censored["response"] == {500: 1, 1_500: 1}


def test_what_began_after_the_look_has_no_age() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats, stalling, first = served(found, clock), served(found, clock), connected(found, clock)
    connecting = found.client("single")
    connecting.started()
    looked = clock()
    client_stats.sent(clock.after(400))
    stalling.due(clock())
    first.connecting(clock())
    first.connected_at(clock.after(10))
    first.sent(clock())
    connecting.connecting(clock())
    clock.after(100)
    found.close(looked)
    counted = counters(found, 1)
    assert (counted.unanswered, counted.unsent) == (2, 1)
    assert counted.censored == {
        "response": {0: 2},
        "service": {0: 1},
        "connect": {0: 1},
        "first_reply": {0: 2},
    }


def test_a_later_rate_change_tells_nothing_of_ages() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 1_000_000)
    looked = clock.after(1_500)
    clock.after(60_000)  # in which nobody looked
    found.retune(7_000_000)
    found.close(looked)
    counted = counters(found, 1)
    assert counted.censored["response"] == {500: 1, 1_500: 1}
    assert counted.unsent == 2


def test_a_request_kept_back_by_a_stall_counts() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.due(clock())
    clock.after(700)  # half of it has gone
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.unanswered) == (1, 0)
    assert counted.censored["response"] == {700: 1}
    assert counted.censored["service"] == {}
    client_stats.sent(clock.after(300))
    client_stats.verified(clock.after(50))
    assert counters(found, OUTSIDE).histograms["response"] == {1_050: 1}


def test_a_first_request_kept_back_waits_from_due() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = found.client("single")
    client_stats.started()
    client_stats.due(clock())
    client_stats.connecting(clock.after(200))
    client_stats.connected_at(clock.after(30))
    clock.after(70)
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.unanswered) == (1, 0)
    assert counted.censored == {"response": {}, "service": {}, "connect": {}, "first_reply": {300: 1}}


def test_a_stopped_stalling_client_leaves_one_unsent() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.due(clock())
    client_stats.stopped(clock.after(700))
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (1, 0, 0)
    assert counted.censored["response"] == {700: 1}


def test_a_clients_own_stall_is_no_response_time() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock() - 4_000_000)  # it was held up for 4 ms
    client_stats.put_off(1_500_000)
    client_stats.sent(clock.after(1_500))
    assert client_stats.verified(clock.after(300)) == 4_300_000
    client_stats.due(clock())
    client_stats.put_off(1_500_000)
    client_stats.sent(clock.after(1_600))  # it woke up late
    client_stats.verified(clock.after(300))
    counted = counters(found, OUTSIDE)
    assert counted.histograms["response"] == {4_300: 1, 400: 1}
    assert counted.histograms["service"] == {300: 2}


def test_a_stall_in_time_changes_no_response() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock())
    client_stats.put_off(1_500_000)
    client_stats.sent(clock.after(1_500))
    client_stats.failed("timeout", clock.after(700))
    counted = counters(found, OUTSIDE)
    assert counted.histograms["response"] == counted.histograms["service"] == {700: 1}


def test_a_stall_without_a_schedule_delays_nothing() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.put_off(1_500_000)
    assert not client_stats.is_kept_back
    client_stats.sent(clock.after(1_500))
    assert client_stats.verified(clock.after(300)) == 300_000
    client_stats.put_off(1_500_000)
    client_stats.stopped(clock.after(700))
    counted = counters(found, 1)
    assert counted.histograms["response"] == counted.histograms["service"] == {300: 1}
    assert (counted.unsent, counted.abandoned) == (0, 0)
    assert counted.censored["response"] == {}


def test_what_was_put_off_holds_for_one_request() -> None:
    found, clock = recorder()
    client_stats = served(found, clock)
    client_stats.due(clock())
    client_stats.put_off(1_500_000)
    client_stats.sent(clock.after(1_500))
    client_stats.verified(clock.after(300))
    client_stats.due(clock())
    client_stats.sent(clock.after(2_000))
    assert client_stats.verified(clock.after(300)) == 2_300_000


def test_nothing_falls_due_during_a_stall() -> None:
    """Its next request too is due that much later: else the server would be charged with the stall."""
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 1_000_000)
    client_stats.due(client_stats.schedule.take())
    client_stats.put_off(7_500_000)
    clock.after(7_500)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 1, "the one that it stalls with"
    client_stats.sent(clock())
    client_stats.verified(clock.after(300))
    assert client_stats.schedule.upcoming == clock() + 700_000
    clock.after(700)
    client_stats.due(client_stats.schedule.take())
    client_stats.sent(clock())
    client_stats.verified(clock.after(300))
    found.close()
    counted = counters(found, 1)
    assert counted.histograms["response"] == counted.histograms["service"] == {300: 2}
    assert (counted.sent, counted.unsent, counted.censored["response"]) == (2, 0, {})


@pytest.mark.parametrize(("waited", "age"), [(700, 0), (1_500, 0), (1_900, 400)])
def test_a_stall_cut_short_waited_for_the_rest(waited: int, age: int) -> None:
    found, clock = recorder()
    found.begin(1)
    ending, stopping = served(found, clock), served(found, clock)
    for client_stats in (ending, stopping):
        client_stats.due(clock())
        client_stats.put_off(1_500_000)
    stopping.stopped(clock.after(waited))
    found.close()
    counted = counters(found, 1)
    assert (counted.unsent, counted.abandoned, counted.unanswered) == (2, 0, 0)
    assert counted.censored["response"] == {age: 2}


def test_a_client_that_connects_counts_without_a_start() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = found.client("single")
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].users == 0
    client_stats.connecting(clock())
    [part] = unpack(found.report())
    assert (part.gauges["single"].users, part.gauges["single"].connected) == (1, 0)
    client_stats.started()  # it is one client all the same
    client_stats.connected_at(clock.after(30))
    client_stats.sent(clock())
    clock.after(100)
    [part] = unpack(found.report())
    gauges = part.gauges["single"]
    assert (gauges.users, gauges.connected, gauges.unserved, gauges.unanswered) == (1, 1, 1, 1)
    found.close()
    counted = counters(found, 1)
    assert (counted.unanswered, counted.censored["first_reply"]) == (1, {130: 1})
    client_stats.stopped(clock())
    [part] = unpack(found.report())
    assert part.gauges["single"].users == 0


def test_a_request_is_kept_back_until_sent() -> None:
    found, clock = recorder()
    client_stats = found.client("single")
    client_stats.started()
    seen = [client_stats.is_kept_back]
    for act in (
        lambda: client_stats.due(clock()),
        lambda: client_stats.connecting(clock()),
        lambda: client_stats.connect_failed("refused", clock()),
        lambda: client_stats.due(clock()),
        lambda: client_stats.connecting(clock()),
        lambda: client_stats.connected_at(clock()),
        lambda: client_stats.sent(clock()),
        lambda: client_stats.verified(clock()),
        lambda: client_stats.due(clock()),
        client_stats.left,
        lambda: client_stats.due(clock()),
        lambda: client_stats.stopped(clock()),
    ):
        act()
        seen.append(client_stats.is_kept_back)
    assert "".join("-+"[kept] for kept in seen) == "-++-+++--+-+-"
    assert counters(found, OUTSIDE).unsent == 3


def test_a_broken_connection_leaves_its_due_request_unsent() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.due(clock())
    client_stats.broke("closed")
    client_stats.left()
    client_stats.due(clock.after(1_000))
    client_stats.connecting(clock())
    client_stats.connected_at(clock.after(30))
    client_stats.sent(clock())
    found.close()
    counted = counters(found, 1)
    assert (counted.sent, counted.unsent) == (1, 1)


def test_a_connect_to_send_shows_as_unsent() -> None:
    found, clock = recorder()
    client_stats = found.client("single")
    client_stats.started()
    client_stats.schedule = Periodic(clock(), 1_500_000)
    client_stats.due(client_stats.schedule.take())
    client_stats.connecting(clock.after(2_000))
    [part] = unpack(found.report())
    assert part.gauges["single"].unsent == 2  # another one has fallen due meanwhile
    client_stats.connected_at(clock.after(30))
    client_stats.sent(clock())
    [part] = unpack(found.report())
    assert (part.gauges["single"].unsent, part.gauges["single"].unanswered) == (1, 1)


def test_ages_of_overdue_requests_keep_half_a_percent() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 38_461)  # 26,000 requests per second
    clock.after(1_000_000)
    found.close()
    counted = counters(found, 1)
    assert counted.unsent == 26_001
    assert max(counted.censored["response"]) == 1_000_000


def test_another_rate_reaches_every_scheduled_client() -> None:
    found, clock = recorder()
    one, other, closed = connected(found, clock), connected(found, clock, "asyncio"), connected(found, clock)
    now = clock()
    one.schedule, other.schedule = Periodic(now + 100, 10), Periodic(now - 15, 10)
    found.retune(7)
    assert [one.schedule.take() - now for _ in range(2)] == [70, 77]
    assert [other.schedule.take() - now for _ in range(4)] == [-15, -5, 3, 10]
    assert closed.schedule is None


def test_a_schedule_has_a_rate_before_its_client() -> None:
    found, clock = recorder()
    told: list[tuple[str, int]] = []
    clients = {name: connected(found, clock) for name in ("paced", "other", "closed", "stopped")}
    now = clock()
    for name, first in (("paced", 100), ("other", 40), ("stopped", 60)):
        clients[name].schedule = Periodic(now + first, 10)

    def listen(name: str, client_stats: ClientStats) -> None:
        client_stats.retuned = lambda: told.append(
            (name, client_stats.schedule.upcoming - now if client_stats.schedule else 0)
        )

    for name, client_stats in clients.items():
        listen(name, client_stats)
    clients["stopped"].stopped(now)
    found.retune(5)
    assert sorted(told) == [("other", 20), ("paced", 50)]


def test_requests_due_by_an_older_rate_stay_due() -> None:
    found, clock = recorder()
    found.begin(1)
    client_stats = served(found, clock)
    client_stats.schedule = Periodic(clock(), 1_000_000)
    clock.after(2_500)
    found.retune(200_000)
    clock.after(600)  # since the first was due: 3,100 us
    found.retune(5_000_000)
    clock.after(200)
    [*_, part] = unpack(found.report())
    assert part.gauges["single"].unsent == 6
    found.close()
    counted = counters(found, 1)
    assert counted.unsent == 6
    # Due after 0, 1,000 and 2,000 us by the first rate; by the second after 2,600 (half an interval), 2,800 and 3,000.
    assert counted.censored["response"] == {3_300: 1, 2_300: 1, 1_300: 1, 700: 1, 500: 1, 300: 1}
