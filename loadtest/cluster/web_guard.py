"""
Keeps other web pages away from Locust's own, which commands the load: they reach it through the user's browser.

A request that changes something must come from the page itself, or from no page at all (curl). Every request must call
the page by a name of its own, or a foreign name could be made to mean this machine (DNS rebinding). No answer may be
read by another page, or shown inside of it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest.host_names import Place, names, place

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing: so it is with every route of Locust's."""

WILDCARDS: Final = frozenset({"", "*", "0.0.0.0", "::"})
"""What a page is bound to that answers at every address of its machine."""

_PORTS: Final = {"http": 80, "https": 443}

_HEADERS: Final = (
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)

Environ = Mapping[str, Any]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def own_names(bound: str, more: str) -> frozenset[str]:
    """Return the names of a page that is bound to an address, and has more names, with commas. They have no port."""
    every = {"0.0.0.0", "::"} if bound in WILDCARDS else names(bound)
    return frozenset(every) | names(more)


def refusal(environ: Environ, own: Collection[str]) -> str | None:
    """Return why a request (WSGI) is not to be answered, in a line; None if it is."""
    host = place(environ.get("HTTP_HOST", ""))
    if host is None:
        return "it names no host that this page could be"
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
        return "it comes from another web page: only this page itself may change something"
    return None


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_same(origin: str, host: Place) -> bool:
    """Whether an origin, or the address of a page, is of the host that is asked."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    theirs, port = place(parts.netloc), _PORTS.get(parts.scheme)
    if theirs is None or port is None:
        return False
    return (theirs.name, theirs.port or port) == (host.name, host.port or port)


class Guard:
    """A WSGI application that answers for another, and refuses what that must not see."""

    def __init__(self, application: Application, own: Collection[str]) -> None:
        """Guard `application`; own: the names by which it may be called, besides those of loopback."""
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
