import json
from dataclasses import replace

import pytest

from loadtest.compare.candidates import LAB, TEXTBOOK, Candidate, from_json, own
from servers.variants import VARIANTS


def test_the_labs_candidates_are_variants_and_stdlib_loop() -> None:
    names = list(LAB)
    assert names.index("asyncio-stdlib") == names.index("asyncio") + 1
    assert set(names) - {"asyncio-stdlib"} == {variant.name for variant in VARIANTS}
    assert (LAB["asyncio-stdlib"].variant, LAB["asyncio-stdlib"].options) == ("asyncio", ("--loop", "asyncio"))
    assert set(TEXTBOOK) <= set(names)
    colours = [candidate.colour for candidate in LAB.values()]
    assert len(set(colours)) == len(colours)


def test_an_own_server_that_runs_already() -> None:
    mine = own("go-1=10.0.0.2:7000", 0)
    assert (mine.name, mine.address, mine.command, mine.variant) == ("go-1", "10.0.0.2:7000", (), "")


def test_an_own_server_that_is_started() -> None:
    mine = own("mine=python3 'my server.py' --port {port} --name=a", 1)
    assert mine.command == ("python3", "my server.py", "--port", "{port}", "--name=a")
    assert mine.address == ""
    assert mine.colour != own("other=h:1", 0).colour


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine", "'mine' is not a server: give NAME=HOST:PORT"),
        ("My Server=h:1", "is not a server"),
        ("=h:1", "is not a server"),
        ("threaded=h:1", "threaded is the name of one of the lab's servers"),
        ("mine=", "'' is neither the address of mine"),
        ("mine=./server", "'./server' is neither the address of mine ('./server' is not host:port) nor a command with"),
        ("mine=./server '{port}", "the command of mine can't be read: No closing quotation"),
        ("mine=h:99999", "'h:99999' is not host:port"),
    ],
)
def test_an_invalid_server_is_told_in_a_line(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        own(text, 0)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("candidate", [*LAB.values(), own("mine=a {port}", 0)], ids=lambda each: str(each.name))
def test_a_candidate_survives_json(candidate: Candidate) -> None:
    assert from_json(json.loads(json.dumps(candidate.as_json()))) == candidate


def test_an_event_loop_server_is_named_with_it() -> None:
    labels = {name: each.label for name, each in LAB.items()}
    assert labels == {
        "single": "single",
        "threaded": "threaded",
        "asyncio": "asyncio on uvloop",
        "asyncio-stdlib": "asyncio on stdlib",
        "protocol": "protocol on uvloop",
        "pool": "pool",
        "prefork": "prefork on uvloop",
    }
    assert LAB["asyncio-stdlib"].title == "asyncio on the standard library's loop"
    assert own("mine=127.0.0.1:1", 0).label == "mine"


def test_the_environment_changes_no_named_loop() -> None:
    """TCPLAB_LOOP chooses the loop of a server without --loop."""
    assert LAB["asyncio"].options == LAB["protocol"].options == ("--loop", "uvloop")
    assert LAB["asyncio-stdlib"].options == ("--loop", "asyncio")
    assert LAB["threaded"].options == ()


def test_an_older_result_has_its_loops_named() -> None:
    old = {**LAB["asyncio"].as_json(), "options": []}
    assert from_json(old).label == "asyncio on uvloop"


def test_a_name_from_anywhere_moves_no_cursor() -> None:
    assert replace(own("mine=127.0.0.1:1", 0), name="\x1b[2Ja\nb").label == "\\x1b[2Ja\\nb"
