"""The master's sums: totals that never go down, figures of one phase, workers that come and go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import run_warnings
from loadtest.pacing import Periodic
from loadtest.recording import facts, result
from loadtest.recording.aggregator import RECENT, SETTLED, SILENT, STALLED, Aggregator
from loadtest.recording.counters import Counters
from tests.support.load.aggregation import SETTINGS, Lab


def test_two_workers_add_up_to_what_both_did() -> None:
    lab = Lab()
    one, other = lab.client("one"), lab.client("other")
    lab.begin(5)
    for seconds in (0.5, 0.001, 0.002):
        lab.ask(one, seconds)
    lab.report()
    lab.ask(other, 0.25)
    lab.ask(other, 0.002)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    counters = figures.counters["asyncio"]
    assert counters.verified == 5
    assert counters.histograms["response"] == {1000: 1, 2000: 2}
    assert counters.imbalance == 0
    assert (counters.clients_connected, counters.clients_served) == (2, 2)
    assert figures.strain().cpu_ratio == pytest.approx(0.1)
    assert figures.strain().busy_ratio == pytest.approx(0.5)
    assert figures.strain().starved_ratio == pytest.approx(0.015)
    assert figures.strain().stolen_ratio == pytest.approx(0.01)
    assert lab.aggregator.totals["asyncio"].connections["connected"] == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two", "three"]), st.integers(0, 5), st.integers(0, 5)),
        min_size=1,
        max_size=9,
    )
)
def test_fairness_is_over_the_clients_of_all_workers(clients: list[tuple[str, int, int]]) -> None:
    """Each has some replies in the warm-up, which don't count, and some in the window."""
    lab = Lab()
    every = [lab.client(worker) for worker, _, _ in clients]
    lab.begin(1)
    for client_stats, (_, warming, _) in zip(every, clients, strict=True):
        for _ in range(warming):
            lab.ask(client_stats, 0.001)
    lab.begin(2)
    for client_stats, (worker, _, measured) in zip(every, clients, strict=True):
        for _ in range(measured):
            lab.ask(client_stats, 0.001)
            lab.report(worker)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    replies = [measured for _, _, measured in clients]
    squares = sum(each**2 for each in replies)
    counters = figures.counters["asyncio"]
    assert (counters.verified, counters.squares, counters.clients_connected) == (sum(replies), squares, len(clients))
    assert counters.fairness == (sum(replies) ** 2 / (len(clients) * squares) if squares else None)


def test_a_lost_workers_reports_count_in_fairness() -> None:
    lab = Lab()
    staying, going = lab.client("staying"), lab.client("going")
    lab.begin(5)
    for _ in range(2):
        lab.ask(staying, 0.1)
        lab.ask(going, 0.1)
    lab.report()
    lab.ask(going, 0.1)  # nobody hears of it
    lab.aggregator.note_present({"staying"}, lab.seconds)
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    counters = figures.counters["asyncio"]
    assert (set(figures.lost), counters.verified, counters.squares, counters.fairness) == ({"going"}, 4, 8, 1.0)


def test_the_window_excludes_the_warmup_totals_include_it() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(1)
    lab.ask(client_stats, 0.3)
    lab.ask(client_stats, 0.1)
    lab.begin(2)  # the warm-up's last counts have yet to be reported
    lab.ask(client_stats, 0.004)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.counters["asyncio"].histograms["response"] == {4000: 1}
    assert figures.seconds == pytest.approx(0.004)
    assert lab.aggregator.totals["asyncio"].verified == 3


def test_a_lost_worker_keeps_counts_and_drops_gauges() -> None:
    lab = Lab()
    staying, going = lab.client("staying"), lab.client("going")
    lab.begin(5)
    lab.ask(staying, 0.1)
    lab.ask(going, 0.1)
    going.sent(lab.now)
    lab.report()
    assert lab.aggregator.gauges()["asyncio"][:7] == (2, 2, 2, 0, 0, 1, 0)
    lab.aggregator.note_present({"staying"}, lab.seconds)
    assert lab.aggregator.gauges()["asyncio"][:7] == (1, 1, 1, 0, 0, 0, 0)
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    assert set(figures.lost) == {"going"}
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.imbalance) == (3, 2, 1, 0)


@pytest.mark.parametrize("seen", [False, True])
def test_a_lost_workers_due_requests_are_unsent(seen: bool) -> None:
    lab = Lab()
    staying, going = lab.client("staying"), lab.client("going")
    lab.begin(5)
    lab.ask(staying, 0.1)
    lab.ask(going, 0.1)
    for client_stats, seconds in ((staying, 100), (going, 1)):
        client_stats.schedule = Periodic(lab.now, seconds * 10**9)
    staying.due(staying.schedule.take() if staying.schedule else 0)
    staying.sent(lab.now)
    lab.seconds += 2.5
    going.due(going.schedule.take() if going.schedule else 0)  # it stalls: of its three, one is on its way
    lab.report()
    assert lab.aggregator.gauges()["asyncio"][:7] == (2, 2, 2, 0, 0, 1, 3)
    if seen:
        lab.aggregator.note_present({"staying"}, lab.seconds)
        lab.aggregator.note_present({"staying"}, lab.seconds)
        assert lab.aggregator.gauges()["asyncio"][:7] == (1, 1, 1, 0, 0, 1, 0)
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    assert set(figures.lost) == {"going"}
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.unanswered, counters.unsent, counters.imbalance) == (3, 1, 3, 0)
    assert "rate" in [warning.name for warning in run_warnings.check(facts.final(figures, replace(SETTINGS, rate=1.0)))]


def test_a_leaving_workers_due_requests_are_unsent_once() -> None:
    lab = Lab()
    going = lab.client("going")
    lab.begin(5)
    lab.ask(going, 0.1)
    going.schedule = Periodic(lab.now, 10**9)
    lab.seconds += 2.5
    lab.report()
    lab.workers["going"].close()
    lab.report()
    lab.aggregator.note_present((), lab.seconds)
    lab.end("going")
    figures = lab.aggregator.figures
    assert figures is not None
    assert set(figures.lost) == set()
    assert figures.counters["asyncio"].unsent == 3


def test_a_worker_that_went_silent_is_not_there() -> None:
    lab = Lab()
    lab.client("one")
    lab.report()
    lab.aggregator.note_present({"one"}, lab.seconds + SILENT - 0.1)
    assert lab.aggregator.gauges()["asyncio"].users == 1
    lab.aggregator.note_present({"one"}, lab.seconds + SILENT)
    assert lab.aggregator.gauges()["asyncio"].users == 0


def test_a_master_that_stood_still_judges_no_silence() -> None:
    lab = Lab()
    lab.client("one")
    lab.client("gone")
    lab.begin(5)
    lab.report()
    lab.aggregator.note_present({"one", "gone"}, lab.seconds)
    lab.seconds += SILENT + STALLED  # what came in meanwhile has yet to be read
    lab.aggregator.note_present({"one"}, lab.seconds)
    figures = lab.aggregator.figures
    assert figures is not None
    assert set(figures.lost) == {"gone"}  # by its absence
    assert lab.aggregator.gauges()["asyncio"].users == 1
    lab.seconds += 1
    lab.report("one")
    lab.aggregator.note_present({"one"}, lab.seconds)
    assert set(figures.lost) == {"gone"}
    assert lab.aggregator.gauges()["asyncio"].users == 1


@pytest.mark.parametrize(("pause", "lost"), [(STALLED, True), (STALLED + 0.1, False)])
def test_silence_after_the_masters_pause_means_lost(pause: float, lost: bool) -> None:
    lab = Lab()
    lab.client("one")
    lab.begin(5)
    lab.report()
    lab.seconds += SILENT - 1
    lab.aggregator.note_present({"one"}, lab.seconds)
    figures = lab.aggregator.figures
    assert figures is not None
    lab.seconds += pause
    lab.aggregator.note_present({"one"}, lab.seconds)
    assert bool(figures.lost) == lost
    lab.seconds += 1
    lab.aggregator.note_present({"one"}, lab.seconds)
    assert set(figures.lost) == {"one"}


def returned(*, heard: bool = True) -> tuple[Lab, float]:
    """Lose a worker that still runs, with one request open and two unsent; it reports again, or doesn't."""
    lab = Lab()
    staying, back = lab.client("staying"), lab.client("back")
    lab.begin(5)
    lab.ask(staying, 0.1)
    lab.ask(back, 0.1)
    back.schedule = Periodic(lab.now, 10**9)
    back.due(back.schedule.take())
    back.sent(lab.now)
    lab.seconds += 2.5
    lab.report()
    lab.aggregator.note_present({"staying"}, lab.seconds)
    figures = lab.aggregator.figures
    assert figures is not None
    assert {name: gauges["asyncio"][-3:-1] for name, gauges in figures.lost.items()} == {"back": (1, 2)}
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        3,
        2,
        1,
        2,
        0,
    )
    lab.seconds += 0.25
    back.verified(lab.now)
    for _ in range(2):
        back.due(back.schedule.take())
        lab.ask(back, 0.0)
    at = lab.seconds
    if heard:
        lab.report()
    return lab, at


def test_a_lost_worker_that_reports_again_is_restored() -> None:
    lab, at = returned()
    figures = lab.aggregator.figures
    assert figures is not None
    assert (figures.lost, figures.joined) == ({}, {"back": at})
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        5,
        5,
        0,
        0,
        0,
    )
    assert lab.aggregator.gauges()["asyncio"].users == 2
    lab.seconds += 1
    lab.report()
    lab.end()
    assert (figures.lost, figures.joined) == ({}, {"back": at})
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        5,
        5,
        0,
        1,
        0,
    )
    known = facts.final(figures, SETTINGS)
    assert (known.lost_workers, known.joined_workers) == (0, 1)
    names = [warning.name for warning in run_warnings.check(known)]
    assert "worker-joined" in names
    assert "worker-lost" not in names


def test_a_lost_worker_reporting_its_end_is_restored() -> None:
    lab, at = returned(heard=False)
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert (figures.lost, figures.joined) == ({}, {"back": at})
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        5,
        5,
        0,
        0,
        0,
    )


def test_a_restored_worker_may_be_lost_again() -> None:
    lab, at = returned()
    other = lab.client("back")
    other.sent(lab.now)
    lab.seconds += 1
    lab.report()
    lab.aggregator.note_present({"staying"}, lab.seconds)
    lab.aggregator.note_present({"staying"}, lab.seconds)
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    assert (set(figures.lost), figures.joined) == ({"back"}, {"back": at})
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        6,
        5,
        1,
        1,
        0,
    )


def test_a_lost_worker_of_another_phase_stays_lost() -> None:
    lab, _ = returned(heard=False)
    del lab.workers["back"]
    lab.worker("back")  # it begins anew, outside of any phase
    lab.report("back")
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    assert (set(figures.lost), figures.joined) == ({"back"}, {})
    counters = figures.counters["asyncio"]
    assert (counters.sent, counters.verified, counters.unanswered, counters.unsent, counters.imbalance) == (
        3,
        2,
        1,
        2,
        0,
    )


ACTS = st.tuples(st.sampled_from(["send", "answer", "report", "vanish", "see", "wait"]), st.integers(0, 2))


@given(st.lists(ACTS, max_size=40))
def test_losses_and_returns_keep_requests_conserved(acts: list[tuple[str, int]]) -> None:
    lab = Lab()
    names = ("one", "other", "third")
    clients = [lab.client(name) for name in names]
    lab.begin(5)
    lab.report()
    for act, number in acts:
        client_stats, name = clients[number], names[number]
        if act == "send" and not client_stats.sent_at:
            client_stats.sent(lab.now)
        elif act == "answer" and client_stats.sent_at:
            client_stats.verified(lab.now)
        elif act == "report":
            lab.report(name)
        elif act == "vanish":
            lab.aggregator.note_present({*names} - {name}, lab.seconds)
        elif act == "see":
            lab.aggregator.note_present(names, lab.seconds)
        else:
            lab.seconds += 1
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.lost == {}
    counters = figures.counters["asyncio"]
    assert (counters.imbalance, counters.unsent) == (0, 0)
    assert counters.unanswered == sum(client_stats.sent_at > 0 for client_stats in clients)


@pytest.mark.parametrize(
    ("case", "seconds"),
    [("whole", SETTLED + 2), ("lost", SETTLED + 2.04), ("joined", SETTLED + 2.04), ("returned", SETTLED + 2.04)],
)
def test_a_phase_ends_early_without_losses_or_joins(case: str, seconds: float) -> None:
    lab = Lab()
    lab.client("one")
    if case != "joined":
        lab.client("other")
    lab.begin(5)
    lab.seconds += 1
    lab.report()
    lab.seconds += SETTLED
    lab.worker("other").begin(5)
    lab.report()
    if case in {"lost", "returned"}:
        lab.aggregator.note_present({"one"}, lab.seconds)
    lab.seconds += 1
    for name in ("one",) if case == "lost" else ("one", "other"):
        lab.workers[name].close()
        lab.report(name)
    lab.seconds += 0.04  # Locust takes that long to end a run
    lab.aggregator.end(lab.seconds, {"asyncio": 2})
    figures = lab.aggregator.figures
    assert figures is not None
    assert (set(figures.lost), set(figures.joined)) == (
        {"other"} if case == "lost" else set(),
        {"other"} if case in {"joined", "returned"} else set(),
    )
    assert figures.seconds == pytest.approx(seconds)
    assert figures.ended == pytest.approx(figures.started + seconds)
    assert lab.aggregator.running_seconds(lab.seconds + 9) == figures.seconds


def test_a_worker_that_left_is_not_lost() -> None:
    lab = Lab()
    staying, going = lab.client("staying"), lab.client("going")
    lab.begin(5)
    lab.ask(staying, 0.1)
    going.sent(lab.now)
    lab.workers["going"].close()
    lab.report()
    lab.aggregator.note_present({"staying"}, lab.seconds)
    lab.end("staying")
    figures = lab.aggregator.figures
    assert figures is not None
    assert set(figures.lost) == set()
    assert figures.counters["asyncio"].imbalance == 0
    assert figures.counters["asyncio"].unanswered == 1


def test_a_worker_heard_from_the_start_never_joined() -> None:
    lab = Lab()
    lab.client("one")
    lab.client("other")
    lab.begin(5)
    lab.seconds += 1
    lab.report("one")
    lab.seconds += SETTLED - 1
    lab.report("other")  # at the last moment
    lab.seconds += 20
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.joined == {}
    assert set(figures.efforts) == {"one", "other"}


def test_a_worker_first_heard_later_has_joined() -> None:
    lab = Lab()
    lab.client("one")
    lab.begin(5)
    lab.seconds += 1
    lab.report()
    lab.worker("late").begin(5)
    lab.seconds += SETTLED
    lab.report()
    joined = lab.seconds
    lab.seconds += 1
    lab.report()
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.joined == {"late": joined}
    assert facts.final(figures, SETTINGS).joined_workers == 1
    assert "worker-joined" in [warning.name for warning in run_warnings.check(facts.final(figures, SETTINGS))]


def test_a_joined_worker_starts_the_next_phase() -> None:
    lab = Lab()
    lab.client("one")
    lab.begin(5)
    lab.seconds += SETTLED + 1
    lab.report()
    assert lab.aggregator.figures is not None
    assert set(lab.aggregator.figures.joined) == {"one"}
    lab.begin(6)
    lab.seconds += 1
    lab.report()
    assert lab.aggregator.figures.joined == {}


def test_a_worker_without_a_part_has_not_joined() -> None:
    lab = Lab()
    lab.begin(5)
    lab.client("idle")
    lab.seconds += SETTLED + 1
    lab.report()
    assert lab.aggregator.figures is not None
    assert lab.aggregator.figures.joined == {}


def test_recent_effort_is_of_the_last_seconds() -> None:
    lab = Lab()
    lab.client("one")
    for _ in range(3):
        lab.seconds += 100
        lab.report()
    for _ in range(RECENT - 1):
        lab.seconds += 1
        lab.report()
    effort = lab.aggregator.workers["one"].recent_effort()
    assert effort.seconds == pytest.approx(100 + RECENT - 1)
    assert effort.cpu_ratio == pytest.approx(0.1)
    assert effort.busy_ratio == pytest.approx(0.5)
    assert effort.starved_ratio == pytest.approx(0.015)
    assert effort.stolen_ratio == pytest.approx(0.01)


def test_a_variants_speed_counts_its_time_with_clients() -> None:
    """A shape loads one after another: over the whole run each would look slower the more variants there are."""
    lab = Lab()
    first = lab.client("one", "threaded")
    lab.begin(5)
    for _ in range(3):
        lab.ask(first, 1.0)
        lab.report()
    first.stopped(lab.now)
    second = lab.client("one", "asyncio")
    for _ in range(2):
        lab.ask(second, 1.0)
        lab.report()
    lab.seconds += 1
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.seconds == pytest.approx(6)
    assert [figures.seconds_of(name) for name in ("threaded", "asyncio")] == pytest.approx([3, 3])
    document = result.document([result.Window(figures, SETTINGS, [])])["variants"]
    assert (document["threaded"]["seconds"], document["asyncio"]["seconds"]) == (pytest.approx(3), pytest.approx(3))
    table = [line.split() for line in result.lines([result.Window(figures, SETTINGS, [])])]
    assert [(line[0], line[6]) for line in table[1:]] == [("threaded", "1.0"), ("asyncio", "0.7")]


def test_a_worker_may_be_lost_before_any_report() -> None:
    lab = Lab()
    lab.client("one")
    lab.client("other")
    lab.report()
    lab.begin(5)
    lab.seconds += 1
    lab.report("one")
    lab.aggregator.note_present({"one"}, lab.seconds)
    lab.end("one")
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.lost == {"other": {}}
    assert figures.counters["asyncio"].imbalance == 0
    assert "worker-lost" in [warning.name for warning in run_warnings.check(facts.final(figures, SETTINGS))]


def test_a_worker_given_up_early_is_restored() -> None:
    lab = Lab()
    lab.client("one")
    client_stats = lab.client("other")
    lab.report()
    lab.begin(5)
    lab.seconds += 1
    lab.report("one")
    lab.aggregator.note_present({"one"}, lab.seconds)
    client_stats.sent(lab.now)
    lab.seconds += 1
    lab.end()
    figures = lab.aggregator.figures
    assert figures is not None
    assert (figures.lost, list(figures.joined)) == ({}, ["other"])
    assert (figures.counters["asyncio"].unanswered, figures.counters["asyncio"].imbalance) == (1, 0)


def test_the_worst_ten_seconds_are_not_averaged_away() -> None:
    aggregator = Aggregator(["asyncio"])
    aggregator.begin(5, 0.0, 1000.0)
    for second in range(90):
        busy = 0.99 if 30 <= second < 60 else 0.1
        part = {"phase": 5, "seconds": 1.0, "closed": second == 89, "counters": {}, "neighbours": {}, "gauges": {}}
        aggregator.take("one", {"parts": [{**part, "effort": [busy, 1.0, busy, 0.0, 0.0, {}]}]}, float(second + 1))
    aggregator.end(90.0, {})
    figures = aggregator.figures
    assert figures is not None
    assert figures.strain().cpu_ratio == pytest.approx((30 * 0.99 + 60 * 0.1) / 90)
    assert figures.worst_strain().cpu_ratio == pytest.approx(0.99)
    assert [warning.name for warning in run_warnings.check(facts.final(figures, SETTINGS))] == ["generator-cpu"]


def test_how_many_seconds_the_live_figures_are_about() -> None:
    lab = Lab()
    lab.client("one")
    lab.begin(5)
    for second in range(1, 31):
        lab.seconds += 1
        lab.report()
        expected = 0.0 if second <= RECENT + 1 else RECENT + 1  # the reports of both ends are in it
        assert lab.aggregator.recent_seconds(lab.seconds) == pytest.approx(expected), second


def test_reports_after_the_end_change_no_result() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    lab.ask(client_stats, 0.1)
    lab.end()
    lab.worker("one").begin(5)
    lab.ask(client_stats, 0.2)
    lab.report()
    figures = lab.aggregator.figures
    assert figures is not None
    assert figures.counters["asyncio"].verified == 1
    assert lab.aggregator.totals["asyncio"].verified == 2


def test_a_new_run_has_no_recent_past() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.begin(5)
    lab.ask(client_stats, 0.5)
    lab.report()
    assert lab.aggregator.recent(lab.seconds)["asyncio"].verified == 1
    lab.aggregator.forget_recent()
    assert lab.aggregator.recent(lab.seconds) == {}
    lab.ask(client_stats, 0.5)
    lab.report()
    assert lab.aggregator.recent(lab.seconds)["asyncio"].verified == 1


def test_recent_quantiles_forget_after_ten_seconds() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.ask(client_stats, 0.001)
    lab.ask(client_stats, 0.5)
    lab.report()
    assert lab.samples()["tcplab_load_recent_seconds", "0.5", "response", "asyncio"] == 0.5
    lab.seconds += RECENT - 1
    lab.ask(client_stats, 0.002)
    lab.report()
    assert lab.samples()["tcplab_load_recent_seconds", "0.99", "response", "asyncio"] == 0.5
    lab.seconds += 2
    lab.report()
    assert lab.samples()["tcplab_load_recent_seconds", "0.99", "response", "asyncio"] == 0.002
    lab.seconds += RECENT
    lab.report()
    assert not [key for key in lab.samples() if key[0] == "tcplab_load_recent_seconds"]


def test_a_stages_figures_leave_out_the_stage_before() -> None:
    lab = Lab()
    lab.worker("one")
    lab.report()
    first = lab.client("one")
    lab.report()  # the clients change
    for _ in range(4):
        lab.ask(first, 0.25)
    lab.report()
    age, stage = lab.aggregator.stage(lab.seconds)
    assert age == 1
    assert (stage["asyncio"].verified, stage["asyncio"].users) == (4, 1)
    second = lab.client("one")
    lab.ask(second, 0.5)
    lab.ask(second, 0.5)
    lab.report()  # of the old stage and the new one
    assert lab.aggregator.stage(lab.seconds) == (0, {})
    assert lab.aggregator.recent(lab.seconds)["asyncio"].verified == 6
    lab.ask(second, 1.0)
    lab.report()
    age, stage = lab.aggregator.stage(lab.seconds)
    assert age == 1
    assert (stage["asyncio"].verified, stage["asyncio"].users, stage["asyncio"].connected) == (1, 2, 2)


def test_failed_connects_are_failures_of_the_stage() -> None:
    lab = Lab()
    client_stats = lab.client("one")
    lab.report()
    client_stats.left()
    for _ in range(3):
        client_stats.connecting(lab.now)
        client_stats.connect_failed("refused", lab.now)
    lab.seconds += 2
    lab.report()
    assert lab.samples()["tcplab_load_recent_rate", "failed", "asyncio"] == 1.5


def test_the_oldest_wait_and_who_waits_are_exported() -> None:
    lab = Lab()
    served, waiting = lab.client("one"), lab.client("other")
    lab.ask(served, 0.5)
    waiting.sent(lab.now)
    lab.seconds += 4
    lab.report()
    samples = lab.samples()
    assert samples["tcplab_load_oldest_wait_seconds", "asyncio"] == 4.5  # from connect(), of all workers' the oldest
    assert samples["tcplab_load_recent_clients", "waiting", "asyncio"] == 1
    assert samples["tcplab_load_recent_clients", "asked", "asyncio"] == 2
    waiting.verified(lab.now)
    lab.report()
    assert lab.samples()["tcplab_load_oldest_wait_seconds", "asyncio"] == 0


def test_what_was_counted_lately_is_there_by_variant() -> None:
    lab = Lab()
    assert lab.aggregator.recent(lab.seconds) == {}
    lab.ask(lab.client("one"), 0.25)
    lab.ask(lab.client("other", "single"), 0.25)
    lab.report()
    first = lab.seconds
    lab.seconds += RECENT
    lab.ask(lab.client("other"), 0.0)
    lab.report()
    recent = lab.aggregator.recent(first + RECENT)
    assert {variant: counters.verified for variant, counters in recent.items()} == {"asyncio": 2, "single": 1}
    assert recent["asyncio"].histograms["first_reply"] == {250_000: 1, 0: 1}
    recent["asyncio"].add(Counters(sent=9))  # a copy: nobody else's figures change by it
    assert lab.aggregator.recent(first + RECENT)["asyncio"].sent == 2
    later = lab.aggregator.recent(first + RECENT + 0.1)
    assert {variant: counters.verified for variant, counters in later.items() if counters.verified} == {"asyncio": 1}


def test_a_workers_finished_requests_never_go_down() -> None:
    lab = Lab()
    one, other = lab.client("one"), lab.client("other", "single")
    lab.ask(one, 0.001)
    lab.report()
    assert {name: each.requests for name, each in lab.aggregator.workers.items()} == {"one": 1, "other": 0}
    lab.begin(5)
    lab.ask(one, 0.001)
    other.sent(lab.now)
    other.failed("reset", lab.now)
    one.sent(lab.now)  # it is still open
    lab.end()
    assert {name: each.requests for name, each in lab.aggregator.workers.items()} == {"one": 2, "other": 1}
    lab.begin(6)
    lab.report("one")
    lab.aggregator.note_present(["one"], lab.seconds)
    assert lab.aggregator.workers["one"].requests == 2
    lab.aggregator.note_present(["one", "other"], lab.seconds)
    assert lab.aggregator.workers["other"].requests == 1, "it was away, and goes on from where it was"
