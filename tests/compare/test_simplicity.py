from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from loadtest.compare.measure.simplicity import Count, Simplicity, count, simplicity
from servers.variants import VARIANTS, Connection, Variant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", Count(0, 0, 0)),
        ('"""Says what it is."""\n\n# nothing else\n', Count(0, 0, 0)),
        ("x = 1  # one\n\n\ny = 2\n", Count(2, 0, 0)),
        ("x = 1", Count(1, 0, 0)),
        ('TICK = 0.1\n"""Seconds."""\n', Count(1, 0, 0)),
        ('x = """a\nb"""\n', Count(1, 0, 0)),
        ("f(\n    1,\n    2,\n)\n", Count(1, 0, 0)),
        ("if a:\n    b\nelif c:\n    d\nelse:\n    e\n", Count(6, 2, 0)),
        ("x = 1 if a and b or c else 2\n", Count(1, 3, 0)),
        ("while a and b and c:\n    pass\n", Count(2, 3, 0)),
        ("for a in b:\n    c\nelse:\n    d\n", Count(4, 1, 0)),
        ("x = [a for a in b if c if d]\n", Count(1, 2, 0)),
        ("try:\n    a\nexcept B:\n    c\nexcept D:\n    e\nfinally:\n    f\n", Count(8, 2, 0)),
        ("with a:\n    b\n", Count(2, 0, 0)),
        ("match a:\n    case 1:\n        b\n    case _:\n        c\n", Count(5, 2, 0)),
        ("async def f():\n    await a\n    async for b in c:\n        await d\n", Count(4, 1, 3)),
        ("async def f():\n    async with a:\n        return [b async for b in c if await d]\n", Count(3, 1, 3)),
    ],
)
def test_what_counts(source: str, expected: Count) -> None:
    assert count(source) == expected


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return two models with a driver each, a third that shares one of these, and what both drivers need."""
    files = {
        "common": "x = 1\n",
        "helper": "import os\nif x:\n    y = 2\n",
        "connections/blocking": """
            from servers import common
            class Plain:
                def converse(self, client) -> None:
                    return None
            """,
        "streaming": """
            import servers.common
            from servers.helper import y
            class Evented:
                async def converse(self, client) -> None:
                    await client
            """,
        "models/first": "def serve(listener, converse: Callable[[socket], None]):\n    converse(next(listener))\n",
        "models/second": '''
            """The second."""
            async def serve(listener, converse: Callable[[socket], Coroutine[None, None, None]]):
                async for client in listener:
                    await converse(client)
            ''',
        "models/third": """
            def serve(listener, converse: Callable[[socket], None]):
                for client in listener:
                    if client:
                        converse(client)
            """,
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(dedent(source))
    return tmp_path


def model(name: str, module: str, connection: Connection) -> Variant:
    return replace(VARIANTS[0], name=name, module=module, connection=connection)


ONE, TWO = model("one", "first", "blocking"), model("two", "second", "streams")
THREE = model("three", "third", "blocking")


def test_each_model_counts_for_what_not_all_share(package: Path) -> None:
    assert simplicity([ONE, TWO, THREE], package) == (
        Simplicity("one", ("servers/connections/blocking.py", "servers/models/first.py"), Count(6, 0, 0)),
        Simplicity(
            "two", ("servers/connections/streams.py", "servers/helper.py", "servers/models/second.py"), Count(11, 2, 3)
        ),
        Simplicity("three", ("servers/connections/blocking.py", "servers/models/third.py"), Count(8, 2, 0)),
    )


def test_a_driver_that_all_share_counts_for_none(package: Path) -> None:
    assert simplicity([ONE, THREE], package) == (
        Simplicity("one", ("servers/models/first.py",), Count(2, 0, 0)),
        Simplicity("three", ("servers/models/third.py",), Count(4, 2, 0)),
    )


def test_a_model_that_is_not_there(package: Path) -> None:
    with pytest.raises(KeyError, match="fourth"):
        simplicity([model("four", "fourth", "blocking")], package)


def test_our_own_models() -> None:
    found = {each.variant: each for each in simplicity()}
    single, threaded, evented = found["single"], found["threaded"], found["asyncio"]
    assert single.files == ("servers/connections/blocking.py", "servers/models/single.py")
    assert threaded.files == ("servers/connections/blocking.py", "servers/models/threaded.py")
    assert {"servers/models/asyncio_streams.py", "servers/connections/streams.py"} <= set(evented.files)
    for each in found.values():
        assert all((ROOT / file).is_file() for file in each.files)
    assert single.count.lines <= threaded.count.lines < evented.count.lines
    assert single.count.branches <= threaded.count.branches
    assert single.count.awaits == threaded.count.awaits == 0
    assert evented.count.awaits > 5
