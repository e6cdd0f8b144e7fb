"""The shapes: rows of (elapsed seconds, stage), with a sentence each."""

import pytest

from loadtest.shapes import SHAPES, Stage

ALL = ("single", "threaded", "asyncio")


def everyone(clients: int) -> Stage:
    return Stage(clients, ALL)


ROWS = [
    ("steps", 0, everyone(20), "it begins with a fifth of the 100 clients asked for"),
    ("steps", 29.9, everyone(20), "a step lasts 30 s"),
    ("steps", 30, everyone(40), "then it is two fifths"),
    ("steps", 60, everyone(60), "and three"),
    ("steps", 90, everyone(80), "and four"),
    ("steps", 149.9, everyone(100), "the last step has all of them"),
    ("steps", 150, None, "after it comes nothing"),
    ("steps", 9999, None, "and nothing ever again"),
    ("spike", 0, everyone(100), "before the spike it is as many as asked for"),
    ("spike", 29.9, everyone(100), "for 30 s"),
    ("spike", 30, everyone(1000), "the spike is ten times as many"),
    ("spike", 59.9, everyone(1000), "for 30 s too"),
    ("spike", 60, everyone(100), "then it is as many as before: does the server recover?"),
    ("spike", 89.9, everyone(100), "it has 30 s for that"),
    ("spike", 90, None, "then it ends"),
    ("one-after-another", 0, Stage(100, ("single",)), "the first variant has all the load to itself"),
    ("one-after-another", 59.9, Stage(100, ("single",)), "for a minute"),
    ("one-after-another", 60, Stage(0, ("single",)), "then its clients go, and nobody else has come"),
    ("one-after-another", 64.9, Stage(0, ("single",)), "they have 5 s to go"),
    ("one-after-another", 65, Stage(100, ("threaded",)), "then it is the second one's turn"),
    ("one-after-another", 125, Stage(0, ("threaded",)), "whose clients go as well"),
    ("one-after-another", 130, Stage(100, ("asyncio",)), "then the third one's"),
    ("one-after-another", 194.9, Stage(0, ("asyncio",)), "the last one's clients go too"),
    ("one-after-another", 195, None, "it ends when each had its minute"),
    ("tour", 0, everyone(10), "the tour begins with 10 clients, whatever was asked for"),
    ("tour", 29.9, everyone(10), "for 30 s"),
    ("tour", 30, everyone(30), "then it is 30"),
    ("tour", 60, everyone(100), "then 100"),
    ("tour", 90, everyone(300), "then 300"),
    ("tour", 119.9, everyone(300), "for 30 s too: all is seen within two minutes"),
    ("tour", 120, everyone(10), "then it begins again"),
    ("tour", 86_400 + 90, everyone(300), "a day later it still does"),
]


@pytest.mark.parametrize(("name", "elapsed", "expected", "sentence"), ROWS)
def test_a_shape_is_a_function_of_the_time(name: str, elapsed: float, expected: Stage | None, sentence: str) -> None:
    plan = SHAPES[name]
    assert plan(elapsed, 100, ALL) == expected, sentence
    assert plan(elapsed, 100, ALL) == expected, "asked again, it says the same"


def test_every_shape_has_rows() -> None:
    assert {name for name, *_ in ROWS} == set(SHAPES)


@pytest.mark.parametrize(
    ("clients", "expected"), [(1, [1, 1, 1, 1, 1]), (7, [2, 3, 5, 6, 7]), (30, [6, 12, 18, 24, 30])]
)
def test_no_step_is_empty_the_last_is_full(clients: int, expected: list[int]) -> None:
    stages = [SHAPES["steps"](elapsed, clients, ALL) for elapsed in (0, 30, 60, 90, 120)]
    assert stages == [everyone(number) for number in expected]


@pytest.mark.parametrize(("variants", "ends"), [(("asyncio",), 65), (("asyncio", "single"), 130), ((), 0)])
def test_one_after_another_lasts_a_turn_a_variant(variants: tuple[str, ...], ends: float) -> None:
    plan = SHAPES["one-after-another"]
    assert plan(ends, 5, variants) is None
    if variants:
        assert plan(ends - 5.1, 5, variants) == Stage(5, variants[-1:])


@pytest.mark.parametrize("name", ["steps", "spike", "tour"])
def test_the_other_shapes_load_the_given_variants(name: str) -> None:
    stage = SHAPES[name](0, 10, ["threaded"])
    assert stage is not None
    assert stage.variants == ("threaded",)
