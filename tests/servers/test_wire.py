"""Framing and parsing: however the bytes arrive, the same lines and the same requests."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servers import wire

LIMIT = 65536

pieces = st.one_of(
    st.sampled_from([b"ECHO ", b"ECHO", b"SLEEP 5 ", b"WORK 1 ", b"QUIT", b"\n", b"\r\n", b"\r", b"\r\r\n", b" "]),
    st.binary(max_size=12),
    st.sampled_from([LIMIT - 6, LIMIT - 5, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT]).map(lambda size: b"x" * size),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


def split(data: bytes, places: list[float]) -> list[bytes]:
    """Cut `data` at places given as shares of its length; no piece is empty, for that would mean the end."""
    cuts = sorted({0, len(data), *(int(place * len(data)) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(cuts)]


def batches(framer: wire.Framer, part: bytes) -> Iterator[list[bytes]]:
    """Yield the lines that `part` completes, as the server gets them."""
    yield framer.feed(part)
    while framer.uncut:
        yield framer.more()


def lines(parts: list[bytes], batch: int = wire.BATCH) -> tuple[list[bytes], bytes | None]:
    """Return the lines up to the first that is too long (there the server stops), and the unfinished one."""
    framer = wire.Framer(batch)
    found: list[bytes] = []
    for part in parts:
        for line in itertools.chain.from_iterable(batches(framer, part)):
            if len(line) > LIMIT:
                return [*found, b"too long"], None
            found.append(line)
    return found, None if framer.unfinished is None else bytes(framer.unfinished)


def literal(data: bytes) -> tuple[list[bytes], bytes | None]:
    """Do the same with the whole, byte for byte, as the wire is described."""
    found: list[bytes] = []
    line = b""
    while True:
        end = data.find(b"\n")
        line, data = (data, b"") if end < 0 else (data[:end], data[end + 1 :])
        content = line[:-1] if line.endswith(b"\r") else line
        if len(content) > LIMIT:
            return [*found, b"too long"], None
        if end < 0:
            return found, line or None
        found.append(content)


@settings(max_examples=300, deadline=None)
@given(streams, st.lists(st.floats(0, 1), max_size=8))
@example(b"x" * LIMIT + b"\r\r\n", [LIMIT / (LIMIT + 3), 0.99999])
@example(b"x" * LIMIT + b"\r\n", [0.99999])
def test_lines_are_independent_of_splits(data: bytes, places: list[float]) -> None:
    assert lines(split(data, places)) == literal(data)


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"ECHO x\n"]), max_size=30).map(b"".join))
def test_lines_are_the_same_byte_by_byte(data: bytes) -> None:
    assert lines([data[at : at + 1] for at in range(len(data))]) == literal(data)


@settings(max_examples=300, deadline=None)
@given(streams, st.lists(st.floats(0, 1), max_size=8), st.integers(1, 4))
@example(b"a\r\nb\n" + b"x" * LIMIT + b"\r\nc", [0.99999], 1)
@example(b"\n\n" + b"x" * (LIMIT + 1), [], 2)
def test_lines_are_independent_of_the_batch_size(data: bytes, places: list[float], batch: int) -> None:
    assert lines(split(data, places), batch) == literal(data)


@given(st.integers(0, 40), st.integers(1, 10), st.sampled_from([b"", b"rest"]))
def test_no_more_than_a_batch_is_cut(count: int, batch: int, rest: bytes) -> None:
    framer = wire.Framer(batch)
    sizes = [len(cut) for cut in batches(framer, b"\n" * count + rest) if cut]
    assert sizes == [batch] * (count // batch) + [count % batch] * (count % batch > 0)
    assert framer.unfinished == (rest or None)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30_000), max_size=40))
def test_no_more_than_a_line_is_held(parts: list[bytes]) -> None:
    framer = wire.Framer()
    for part in parts:
        for _ in batches(framer, part):
            assert len(framer.uncut) <= len(part)
        assert framer.unfinished is None or 0 < len(framer.unfinished) <= LIMIT + 1


def reply(data: bytes) -> bytes | None:
    """Return the reply to `data` if it is one line, by framing and parsing."""
    framer = wire.Framer()
    found = framer.feed(data)
    if len(found) != 1 or framer.unfinished is not None:
        return None
    try:
        command, _, tail = wire.parse(found[0])
    except wire.BadRequestError:
        return None
    return wire.ok(tail) if command is wire.ECHO else None


@settings(max_examples=500, deadline=None)
@given(streams)
@example(b"ECHO \n")
@example(b"ECHO\n")
@example(b"ECHO x\r\n")
@example(b"ECHO a\rb\n")
@example(b"ECHO a\nECHO b\n")
@example(b"ECHO " + b"x" * (LIMIT - 5) + b"\n")
@example(b"ECHO " + b"x" * (LIMIT - 4) + b"\n")
def test_the_short_cut_equals_framing_and_parsing(data: bytes) -> None:
    short = wire.whole_echo(data)
    assert short is None or short == reply(data)


@given(st.binary(max_size=100).filter(lambda text: not set(text) & set(b"\r\n")))
def test_the_short_cut_takes_what_it_is_for(text: bytes) -> None:
    assert wire.whole_echo(b"ECHO " + text + b"\n") == b"OK " + text + b"\n"


@given(st.integers(0, 20_000), st.binary(max_size=20))
def test_milliseconds_go_up_to_ten_thousand(number: int, text: bytes) -> None:
    line = b"SLEEP %d %b" % (number, text)
    if number <= 10_000:
        assert wire.parse(line) == (wire.SLEEP, number, b" " + text)
    else:
        with pytest.raises(wire.BadRequestError) as bad:
            wire.parse(line)
        assert (bad.value.kind, bad.value.fatal) == ("argument", False)


@pytest.mark.parametrize("rounds", [0, 1, 999_999, 1_000_000])
def test_rounds_go_up_to_a_million(rounds: int) -> None:
    assert wire.parse(b"WORK %d" % rounds) == (wire.WORK, rounds, b"")


@given(st.binary(max_size=40))
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    try:
        command, amount, tail = wire.parse(line)
    except wire.BadRequestError as bad:
        assert bad.kind in {"unknown", "argument"}
        assert wire.err(bad.reason).count(b"\n") == 1
    else:
        assert line.startswith(command.name.encode())
        assert amount >= 0
        assert line.endswith(tail)
