"""Names of hosts, in a Host header or an option."""

import pytest

from loadtest.host_names import Place, names, place


def test_names_are_read_from_a_list() -> None:
    assert names("") == names(" , ") == frozenset()
    assert names("Lab.example., 10.0.0.2:8089,[::1],2001:db8::2") == {"lab.example", "10.0.0.2", "::1", "2001:db8::2"}
    for bad in ("*", "http://lab.example", "a b", "lab.example/x"):
        with pytest.raises(ValueError, match="is not a host; give names with commas between"):
            names(bad)


def test_a_place_has_a_name_maybe_a_port() -> None:
    assert place("A.b:1") == Place("a.b", 1)
    assert place("[::0]") == Place("::", None)
    assert place("a:123456") is None
