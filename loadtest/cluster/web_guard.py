"""
Protects Locust's page, which controls the load, from other web pages in the user's browser.

A request that changes something must come from the page itself, or from no page at all (curl). Every request must name
the page by one of its own names: a foreign name could be made to point to this machine (DNS rebinding). No other page
may read an answer, or show it in a frame.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from loadtest.host_names import Place, names, place

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing; this holds for all of Locust's routes."""

WILDCARDS: Final = frozenset({"", "*", "0.0.0.0", "::"})
"""Addresses to bind to that mean every address of the machine."""

_PORTS: Final = {"http": 80, "https": 443}

_HEADERS: Final = (
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


def own_names(bound: str, more: str) -> frozenset[str]:
    """Return the names, without ports, of a page that is bound to an address; more: further names, with commas."""
    return names(more) | ({"0.0.0.0", "::"} if bound in WILDCARDS else names(bound))


def refusal(environ: Mapping[str, Any], own: Collection[str]) -> str | None:
    """Return in a line why to refuse a WSGI request; None if it is fine."""
    host = place(environ.get("HTTP_HOST", ""))
    if host is None:
        return "it names no valid host"
    if host.name not in own and not _is_loopback(host.name):
        return (
            f"this page is not known as {host.name!r}; if that is its name, start the load with"
            f" --web-hosts {host.name} (TCPLAB_WEB_HOSTS)"
        )
    if environ["REQUEST_METHOD"] in READS:
        return None
    site = environ.get("HTTP_SEC_FETCH_SITE")
    origin = environ.get("HTTP_ORIGIN", environ.get("HTTP_REFERER"))
    if site not in {None, "same-origin", "none"} or (origin is not None and not _is_same(origin, host)):
        return "it comes from another web page: only this page may change something"
    return None


def _is_loopback(name: str) -> bool:
    with suppress(ValueError):
        return ip_address(name).is_loopback
    return name == "localhost"


def _is_same(origin: str, host: Place) -> bool:
    """Whether an origin, or a page's address, is of this host."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    theirs, port = place(parts.netloc), _PORTS.get(parts.scheme)
    if theirs is None or port is None:
        return False
    return (theirs.name, theirs.port or port) == (host.name, host.port or port)


class Guard:
    """WSGI middleware that refuses forbidden requests."""

    def __init__(self, application: WSGIApplication, own: Collection[str]) -> None:
        """own: the names of the page, besides those of loopback."""
        self._application = application
        self._own = own

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        why = refusal(environ, self._own)
        if why is not None:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), *_HEADERS])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [f"tcplab: refused: {why}\n".encode()]

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:  # noqa: ANN401 - as WSGI has it
            kept = [each for each in headers if not each[0].lower().startswith("access-control-")]
            return start_response(status, [*kept, *_HEADERS], *rest)

        return self._application(environ, start)
