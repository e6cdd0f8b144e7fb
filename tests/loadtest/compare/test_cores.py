"""The cores of servers and load: as asked for, or chosen on machines whose topology was recorded."""

from collections.abc import Callable, Sequence

import pytest

from loadtest.compare import cores
from loadtest.compare.candidates import LAB
from loadtest.compare.conditions import under
from loadtest.compare.cores import asked, share, shares, whole_first
from loadtest.compare.measure.machine import Cores
from loadtest.compare.plan import SHARES

Together = Callable[[int], frozenset[int]]


def alone(core: int) -> frozenset[int]:
    """Tell that there are no hyperthreads, as on cloud machines with two or four cores."""
    return frozenset({core})


def halves(core: int) -> frozenset[int]:
    """Tell the hyperthreads of a workstation with four cores: 0 and 4, 1 and 5, ..."""
    return frozenset({core % 4, core % 4 + 4})


def neighbours(core: int) -> frozenset[int]:
    """Tell the hyperthreads of a cloud machine, whose eight processors are four cores: 0 and 1, 2 and 3, ..."""
    return frozenset({core // 2 * 2, core // 2 * 2 + 1})


@pytest.mark.parametrize(
    ("text", "server", "load"),
    [
        ("1,0", {1}, {0}),
        ("server=0-3,load=4-5", {0, 1, 2, 3}, {4, 5}),
        ("server=0,2,load=1", {0, 2}, {1}),
        ("server=7,load=0-2,5", {7}, {0, 1, 2, 5}),
    ],
)
def test_cores_are_asked_for(text: str, server: set[int], load: set[int]) -> None:
    assert asked(text) == Cores(frozenset(server), frozenset(load))


@pytest.mark.parametrize(
    "text", ["1,1", "1", "1,2,3", "server=0-3,load=3", "server=3-1,load=0", "load=1,server=0", "a,b"]
)
def test_bad_cores_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="nor two sets, such as server=0-3,load=4-5"):
        asked(text)


@pytest.mark.parametrize(
    ("usable", "together", "sizes", "server", "load", "warning"),
    [
        (range(4), alone, (1, 2), {2, 3}, {0}, None),
        (range(4), alone, (1, 3), {1, 2, 3}, {0}, None),
        (range(8), halves, (1, 3), {5, 6, 7}, {0}, None),  # a whole core each
        (range(8), halves, (4,), {3, 5, 6, 7}, {0}, None),
        (range(8), neighbours, (1, 2, 3), {3, 5, 7}, {0}, None),
        (range(8), neighbours, (6,), {2, 3, 4, 5, 6, 7}, {0}, None),
        (range(8), neighbours, (7,), {1, 2, 3, 4, 5, 6, 7}, {0}, "shared-core"),
        ([0, 4, 1], halves, (1, 2), {1, 4}, {0}, "shared-core"),
    ],
)
def test_servers_get_whole_cores_first(
    usable: Sequence[int],
    together: Together,
    sizes: Sequence[int],
    server: set[int],
    load: set[int],
    warning: str | None,
) -> None:
    found = share(None, sizes, [*usable], together)
    assert (set(found.server), set(found.generator)) == (server, load)
    assert found.rest == set(usable) - server
    assert (found.warning and found.warning.name) == warning


@pytest.mark.parametrize(("usable", "sizes"), [((0, 1), (1, 2)), ((0,), (1,)), (range(4), (4,)), ((), (1,))])
def test_too_few_cores_are_refused(usable: Sequence[int], sizes: Sequence[int]) -> None:
    with pytest.raises(ValueError, match="which can't tell how a server scales"):
        share(None, sizes, [*usable], alone)


def test_two_cores_claim_nothing_of_scaling() -> None:
    with pytest.raises(ValueError) as refused:
        share(None, (1, 2), (0, 1), alone)
    assert str(refused.value) == (
        "servers on 2 cores, and a core for the load, are 3: here 2 may be used, which can't tell how a server scales;"
        " use a machine with more, or fewer --server-cores"
    )


def test_asked_cores_must_be_there() -> None:
    sets = asked("server=0-3,load=4-5")
    found = share(sets, (1, 4), range(6), alone)
    assert [set(each) for each in (found.server, found.generator, found.rest)] == [{0, 1, 2, 3}, {4, 5}, {4, 5}]
    with pytest.raises(ValueError, match="core 4 is not one of the cores that may be used here"):
        share(sets, (), range(4), alone)
    with pytest.raises(ValueError, match="can't tell how a server scales"):
        share(sets, (8,), range(8), alone)


def test_hyperthreads_come_last() -> None:
    assert whole_first(range(8), halves) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert whole_first(range(8), neighbours) == [0, 2, 4, 6, 1, 3, 5, 7]


def test_a_run_has_as_many_cores_as_asked() -> None:
    whole = Cores(frozenset({4, 5, 6, 7}), frozenset({0}), frozenset(range(4)))
    one, two, four = under([LAB["prefork"]], cores=[1, 2, 4])
    found = [set(cores.of(each, whole, neighbours).server) for each in (one, two, four)]
    assert found == [{7}, {5, 7}, {4, 5, 6, 7}]
    assert cores.of(LAB["prefork"], whole) is whole
    assert cores.of(two, Cores()) == Cores()
    assert cores.of(two, whole, neighbours).generator == {0}


def test_rates_reach_what_all_cores_may_sustain() -> None:
    assert shares(()) == ()
    assert shares([1]) == SHARES
    assert shares([1, 2]) == (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.4, 1.6, 1.8, 2.0, 2.2)


def test_a_server_on_several_numbers_of_cores() -> None:
    found = under([LAB["prefork"], LAB["threaded"]], cores=[1, 2])
    assert [(each.name, each.options, each.cores, each.label) for each in found] == [
        ("prefork-1-core", ("--loop", "uvloop", "--workers", "1"), 1, "prefork on uvloop, 1 core"),
        ("prefork-2-cores", ("--loop", "uvloop", "--workers", "2"), 2, "prefork on uvloop, 2 cores"),
        ("threaded-1-core", (), 1, "threaded, 1 core"),
        ("threaded-2-cores", (), 2, "threaded, 2 cores"),
    ]
