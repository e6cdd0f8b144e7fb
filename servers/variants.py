"""The variants of the server, as plain data. Everything may import this module; it imports nothing of ours."""

from dataclasses import dataclass
from typing import Literal

Connection = Literal["blocking", "streams", "protocol"]
"""A way of doing I/O, by its module in servers/connections: a blocking socket, asyncio's streams, or its Protocol."""


@dataclass(frozen=True, slots=True)
class Variant:
    """
    One server variant.

    name: what a user types, the Compose service's name, and the `variant` label in every metric.
    module: the model's file in servers/models; it defines `serve(listener)`.
    connection: what its listener accepts; all but the blocking one need an event loop.
    clients: how many it serves at once, unless an option says otherwise; None: up to --max-connections.
    port, metrics_port: the default TCP ports, on loopback.
    colour: the same in every chart, as #rrggbb; distinguishable with any colour vision.
    title: its name in a chart's legend.
    sentence: what the model is, for a newcomer.
    options: options that it has and others have not, without the dashes; they are the listener's attributes.
    profile: the Compose profile that starts it in Docker, without which it doesn't run; "": it always does.
    """

    name: str
    module: str
    connection: Connection
    clients: int | None
    port: int
    metrics_port: int
    colour: str
    title: str
    sentence: str
    options: tuple[str, ...] = ()
    profile: str = ""


# Colours: Okabe and Ito's palette, made for readers with any kind of colour vision ("Color Universal Design", 2008).
VARIANTS: tuple[Variant, ...] = (
    Variant(
        name="single",
        module="single",
        connection="blocking",
        clients=1,
        port=9001,
        metrics_port=9101,
        colour="#D55E00",
        title="one at a time",
        sentence="Serves one client at a time, to the end of its connection; the next waits in the accept queue.",
    ),
    Variant(
        name="threaded",
        module="threaded",
        connection="blocking",
        clients=None,
        port=9002,
        metrics_port=9102,
        colour="#0072B2",
        title="thread per client",
        sentence="Starts a thread for each client; the operating system decides which one runs.",
    ),
    Variant(
        name="asyncio",
        module="asyncio_streams",
        connection="streams",
        clients=None,
        port=9003,
        metrics_port=9103,
        colour="#009E73",
        title="asyncio on uvloop",
        sentence="Serves all clients from one thread: an event loop turns to each client that has sent something.",
    ),
    Variant(
        name="protocol",
        module="asyncio_protocol",
        connection="protocol",
        clients=None,
        port=9004,
        metrics_port=9105,  # 9104 is the load's
        colour="#CC79A7",
        title="Protocol on uvloop",
        sentence="The same event loop as asyncio, with callbacks instead of await: shows what the streams cost.",
    ),
    Variant(
        name="pool",
        module="pool",
        connection="blocking",
        clients=32,
        port=9005,
        metrics_port=9106,
        colour="#9030F0",
        title="thread pool",
        sentence="Has a bounded number of threads; each serves a client to its end, and the next waits for a free one.",
        options=("threads",),
        profile="more",
    ),
    Variant(
        name="prefork",
        module="prefork",
        connection="streams",
        clients=None,
        port=9006,
        metrics_port=9107,
        colour="#F030F0",
        title="pre-fork, uvloop",
        sentence="Has several processes with an event loop in each; the kernel gives each client to one of them.",
        options=("workers", "listen"),
        profile="more",
    ),
)


DEFAULT: tuple[Variant, ...] = tuple(variant for variant in VARIANTS if not variant.profile)
"""Those that the lab runs unless more are asked for."""


def by_name(name: str) -> Variant:
    """Return the variant called `name`; KeyError if there is none."""
    return {variant.name: variant for variant in VARIANTS}[name]
