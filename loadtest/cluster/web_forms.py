"""What may be asked of Locust's page: no other server, no more than by the command line."""

import argparse
import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from loadtest import settings

_OF_LOCUST: Final = frozenset(
    {"user_count", "spawn_rate", "host", "run_time", "profile", "user_classes", "shape_class"}
)
"""The fields of Locust's form. It would take any option by its name, such as the path of a file to write."""

_OF_USERS: Final = frozenset({"user_class_name", "host", "weight", "fixed_count", "tasks"})
"""What the page sends of a class of users. Locust would set any attribute of the class."""


def of_a_run(form: Mapping[str, str], more: Collection[str], hosts: Collection[str]) -> str | None:
    """
    Return what is wrong with a form that starts a run, or changes one; None if nothing is.

    more: the fields that the lab's own options have. hosts: what the page shows as its host.
    """
    for name in form:
        if name not in _OF_LOCUST and name not in more:
            return f"{name!r} can't be set on this page"
    wrong = _wrong_host(form.get("host"), hosts)
    for name, kind in (("user_count", settings.users), ("spawn_rate", settings.spawn_rate)):
        wrong = wrong or _wrong(name, form.get(name), kind)
    return wrong


def of_users(body: bytes, hosts: Mapping[str, str]) -> str | None:
    """
    Return what is wrong with a change of a class of users, as JSON; None if nothing is.

    hosts: by the classes' names, where their users go.
    """
    try:
        change = json.loads(body)
    except (ValueError, RecursionError):
        return "that is no JSON"
    if not isinstance(change, dict) or not isinstance(change.get("user_class_name"), str):
        return "user_class_name is missing"
    if change["user_class_name"] not in hosts:
        return f"there are no users called {change['user_class_name']!r}"
    for name in change:
        if name not in _OF_USERS:
            return f"{name!r} can't be set on this page"
    wrong = _wrong_host(change.get("host"), [hosts[change["user_class_name"]]])
    tasks = change.get("tasks", [])
    if not isinstance(tasks, list) or not all(isinstance(each, str) for each in tasks):
        wrong = wrong or "tasks is a list of names"
    for name in ("weight", "fixed_count"):
        number = change.get(name, 0)
        if not _is_number(number) or not 0 <= number <= settings.MAX_USERS:
            wrong = wrong or f"{name} is a number from 0 to {settings.MAX_USERS}"
    return wrong


def _is_number(value: Any) -> bool:  # noqa: ANN401 - of somebody's JSON
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong_host(host: object, shown: Collection[str]) -> str | None:
    """Locust's own form sends the host that it shows, or an empty one."""
    if not host or host in [*shown]:
        return None
    return "the servers can't be chosen on this page: set TCPLAB_SINGLE and the like where the load starts"


def _wrong(name: str, text: str | None, kind: Callable[[str], object]) -> str | None:
    if text is None:
        return None
    try:
        kind(text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        return f"{name}: {error}"
    return None
