"""Which requests Locust's page answers, by their headers alone."""

import io
from collections.abc import Iterable
from typing import Any

import pytest

from loadtest.cluster.web_guard import Guard, own_names, refusal

OWN = own_names("192.0.2.7", "lab.example, [2001:db8::1]")


def asked(method: str = "POST", host: str | None = "127.0.0.1:8089", **headers: str) -> dict[str, Any]:
    """Return a WSGI environment."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "wsgi.input": io.BytesIO()}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return environ if host is None else environ | {"HTTP_HOST": host}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8089",
        "127.0.0.1",
        "127.8.9.10:1",
        "localhost:8089",
        "LOCALHOST:49200",
        "localhost.:8089",
        "localhost",
        "[::1]:8089",
        "[0:0:0:0:0:0:0:1]:8089",
        "192.0.2.7:8089",
        "lab.example",
        "Lab.Example.:443",
        "[2001:DB8::1]:8089",
    ],
)
def test_hosts_that_are_the_pages_own(host: str, method: str) -> None:
    assert refusal(asked(method, host), OWN) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "ANY"])
@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        " ",
        ":8089",
        "evil.example",
        "evil.example:8089",
        "localhost.evil.example:8089",
        "127.0.0.1.evil.example",
        "xlocalhost:8089",
        "lab.example.evil",
        "localhost..:8089",
        "localhost:8089,evil.example",
        "127.0.0.1:8089,127.0.0.1:8089",
        "localhost:port",
        "localhost@evil.example",
        "127.1:8089",
        "2130706433",
        "0.0.0.0:8089",
        "10.0.0.1",
        "[::2]:8089",
        "[::1",
        "::1",
        "[evil]:8089",
        "lοcalhost",
        "localhost\x00",
    ],
)
def test_an_unknown_host_is_refused_also_to_read(host: str | None, method: str) -> None:
    assert refusal(asked(method, host), OWN) is not None


SAME = "http://127.0.0.1:8089"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": SAME},
        {"origin": SAME, "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"referer": f"{SAME}/"},
        {"origin": SAME, "referer": "http://evil.example/"},
    ],
)
def test_the_page_itself_and_curl_may_change_something(headers: dict[str, str]) -> None:
    assert refusal(asked(**headers), OWN) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://evil.example:8089"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:8089"},
        {"origin": "http://127.0.0.1:8089.evil.example"},
        {"origin": "http://127.0.0.1:8089@evil.example"},
        {"origin": f"{SAME},http://evil.example"},
        {"origin": "127.0.0.1:8089"},
        {"origin": "file://"},
        {"origin": "chrome-extension://127.0.0.1:8089"},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "same-origin,cross-site"},
        {"sec_fetch_site": "cross-site", "origin": SAME},
        {"sec_fetch_site": "same-origin", "origin": "http://evil.example"},
        {"referer": "http://evil.example/127.0.0.1:8089"},
        {"referer": "http://127.0.0.1:3000/"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post"])
def test_another_page_may_change_nothing(headers: dict[str, str], method: str) -> None:
    assert refusal(asked(method, **headers), OWN) is not None
    assert refusal(asked("GET", **headers), OWN) is None, "a link to the page works"


@pytest.mark.parametrize(
    ("host", "origin", "same"),
    [
        ("localhost", "http://localhost", True),
        ("localhost", "http://localhost:80", True),
        ("localhost:80", "http://localhost", True),
        ("lab.example", "https://lab.example", True),
        ("lab.example:443", "https://lab.example", True),
        ("lab.example", "https://lab.example:8443", False),
        ("LOCALHOST:8089", "http://localhost:8089", True),
        ("[::1]:8089", "http://[::1]:8089", True),
        ("[::1]:8089", "http://[::1]:8090", False),
    ],
)
def test_a_missing_port_is_the_schemes(host: str, origin: str, same: bool) -> None:
    assert (refusal(asked(host=host, origin=origin), OWN) is None) == same


def test_a_page_on_every_address_answers_known_names() -> None:
    for bound in ("", "*", "0.0.0.0", "::"):
        own = own_names(bound, "lab.example")
        for host in ("localhost:8089", "127.0.0.1:8089", "0.0.0.0:8089", "lab.example:8089"):
            assert refusal(asked(host=host, origin=f"http://{host}"), own) is None
        assert refusal(asked(host="evil.example:8089"), own) is not None
        assert refusal(asked(host="0.0.0.0:8089", origin="http://evil.example"), own) is not None


def test_cors_headers_are_left_out() -> None:
    def application(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Access-Control-Allow-Origin", "*"), ("access-control-max-age", "9"), ("A", "b")])
        return [b"yes"]

    told: list[tuple[str, list[tuple[str, str]]]] = []
    guard = Guard(application, frozenset())

    def tell(status: str, headers: list[tuple[str, str]]) -> None:
        told.append((status, headers))

    assert guard(asked("OPTIONS", origin="http://evil.example"), tell) == [b"yes"]
    assert guard(asked("GET", host="evil.example"), tell) == [
        b"tcplab: refused: this page is not known as 'evil.example'; if that is its name, start the load with"
        b" --web-hosts evil.example (TCPLAB_WEB_HOSTS)\n"
    ]
    assert guard(asked("HEAD", host="evil.example"), tell) == []
    assert [status for status, _ in told] == ["200 OK", "403 Forbidden", "403 Forbidden"]
    assert ("A", "b") in told[0][1]
    for _, headers in told:
        assert not any(name.lower().startswith("access-control") for name, _ in headers)
        assert ("X-Frame-Options", "DENY") in headers
