"""When `make audit` warns of a pin, and when it fails."""

from datetime import date, timedelta

import pytest

from tests.pins.__main__ import main
from tests.pins.support import NOTICE, ended, ending, read

END = date(2027, 7, 31)
DAY = timedelta(days=1)


def pin(name: str = "prom/prometheus", ends: str = "ends = 2027-07-31") -> str:
    """Return an entry of the file."""
    return f'[[pin]]\nname = "{name}"\nversion = "v3.13.5"\nwhere = "docker-compose.yml"\nread = "a page"\n{ends}\n'


@pytest.mark.parametrize(
    ("today", "status", "word"),
    [
        (END - NOTICE - 365 * DAY, 0, ""),
        (END - NOTICE - DAY, 0, ""),
        (END - NOTICE, 0, "warning"),
        (END - NOTICE + DAY, 0, "warning"),
        (END - DAY, 0, "warning"),
        (END, 0, "warning"),
        (END + DAY, 1, "ended"),
        (END + 365 * DAY, 1, "ended"),
        (date(2027, 6, 1), 0, "warning"),
        (date(2027, 5, 31), 0, ""),
        (date(2027, 8, 1), 1, "ended"),
    ],
)
def test_a_pin_is_told_by_its_day(today: date, status: int, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(pin(), today) == status
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == bool(word)
    assert word in said.err
    assert bool(said.out) == (status == 0)


def test_each_pin_past_its_end_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = pin("one") + pin("two", "ends = 2027-08-31") + pin("three", "ends = 2028-01-01") + pin("four")
    assert main(text, date(2027, 8, 2)) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "tcplab: one v3.13.5 (docker-compose.yml): its support ended on 2027-07-31; go to a supported release"
        " (read in: a page)",
        "tcplab: four v3.13.5 (docker-compose.yml): its support ended on 2027-07-31; go to a supported release"
        " (read in: a page)",
        "tcplab: warning: two v3.13.5 (docker-compose.yml): its support ends on 2027-08-31, in 29 days"
        " (read in: a page)",
    ]


def test_a_pin_without_an_end_is_never_told() -> None:
    pins = read(pin(ends='no_end = "none is announced"'))
    assert ended(pins, date(2100, 1, 1)) == ending(pins, date(2100, 1, 1)) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (pin(ends=""), "either `ends` or `no_end`"),
        (pin(ends='ends = 2027-07-31\nno_end = "both"'), "either `ends` or `no_end`"),
        (pin(ends='ends = "2027-07-31"'), "is no day"),
        (pin(ends="ends = 2027-07-31T00:00:00Z"), "is no day"),
        (pin(ends="end = 2027-07-31"), "unexpected keyword"),
        (pin(name=""), "lacks"),
        (pin().replace('read = "a page"', ""), "read"),
        ("", "pin"),
        ("[[pin]", "line 1"),
    ],
)
def test_a_wrong_file_is_one_line(text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(text, END) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("tcplab: pins.toml: ")
    assert why in line
    assert said.out == ""
