"""The picture of a lesson: figures and prediction on one axis."""

import xml.etree.ElementTree as ET

from loadtest.lessons.picture import Picture
from loadtest.lessons.result import Row

ROWS = (Row("single", 1.0, 0.9, 1.2, runs=3), Row("threaded", 0.001, 0.001, 0.001, runs=1))


def picture(*rows: Row, predicted: float | None = 2.0) -> Picture:
    return Picture("A & B", rows, "You", predicted, "s", "{:g}".format)


def test_the_text_has_range_and_prediction() -> None:
    assert picture(*ROWS).text().splitlines() == [
        "             0           0.5         1          1.5         2 s",
        "  single    |                     [--o---]                     1",
        "  threaded  |o                                                 0.001",
        "  You       |                                               ^  2",
    ]


def test_an_open_range_has_an_arrow() -> None:
    row = Row("single", 1.0, 0.5, None, runs=3, at_least=True)
    line = picture(row, predicted=None).text().splitlines()[1]
    assert line.startswith("  single  |                        [----")
    assert line.endswith("----o  ≥ 1")


def test_without_a_figure_the_row_is_empty() -> None:
    assert picture(Row("single"), predicted=None).text().splitlines()[1].split() == ["single", "|", "-"]
    assert ">?</text>" in picture(Row("single")).document()


def test_the_file_is_whole_svg() -> None:
    drawn = picture(*ROWS).document()
    root = ET.fromstring(drawn)
    assert root.get("aria-label") == "A & B"
    said = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"A & B", "single", "threaded", "You", "1 s", "0.001 s", "2 s"} <= said
    circles = [float(each.get("cx", "")) for each in root.iter("{http://www.w3.org/2000/svg}circle")]
    predicted = [each for each in root.iter("{http://www.w3.org/2000/svg}line") if each.get("class") == "predicted"]
    assert circles == [395.0, 180.2]
    assert [each.get("x1") for each in predicted] == ["610.0"]


def test_a_spoilt_figure_is_hollow_with_doubt() -> None:
    drawn = picture(Row("single", 1.0, 0.9, 1.2, runs=3, spoilt=True))
    assert drawn.text().splitlines()[1].endswith("1 ?")
    assert "measured hollow" in drawn.document()
    assert "1 ? s" in drawn.document()
