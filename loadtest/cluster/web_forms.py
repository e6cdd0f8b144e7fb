"""Checks the forms of Locust's page: they may not choose another server, or exceed the command line's limits."""

import argparse
import json
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, g, jsonify, request
from locust.env import Environment

from loadtest import locust_internals, settings
from loadtest.cluster import shaping, web_guard

_OF_LOCUST: Final = frozenset(
    {"user_count", "spawn_rate", "host", "run_time", "profile", "user_classes", "shape_class"}
)
"""The fields of Locust's form, which accepts any option by its name, even the path of a file to write."""

_OF_USERS: Final = frozenset({"user_class_name", "host", "weight", "fixed_count", "tasks"})
"""The fields that the page sends to change a class of users; Locust would set any attribute."""


def of_a_run(form: Mapping[str, str], more: Collection[str], hosts: Collection[str]) -> str | None:
    """
    Return what is wrong with a form that starts or changes a run; None if nothing is.

    more: the fields of the lab's own options. hosts: those that the page shows.
    """
    for name in form:
        if name not in _OF_LOCUST and name not in more:
            return f"{name!r} can't be set on this page"
    if wrong := _wrong_host(form.get("host"), hosts):
        return wrong
    for name, kind in (("user_count", settings.users), ("spawn_rate", settings.spawn_rate)):
        try:
            kind(form.get(name, "1"))
        except argparse.ArgumentTypeError as error:
            return f"{name}: {error}"
    return None


def of_users(body: bytes, hosts: Mapping[str, str]) -> str | None:
    """Return what is wrong with a change (JSON) of a class of users, or None; hosts: by class name."""
    try:
        change = json.loads(body)
    except (ValueError, RecursionError):
        return "that is not JSON"
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
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not (is_number and 0 <= number <= settings.MAX_USERS):
            wrong = wrong or f"{name} is a number from 0 to {settings.MAX_USERS}"
    return wrong


def _wrong_host(host: object, shown: Collection[str]) -> str | None:
    """Refuse a host other than the one that Locust's form shows, or an empty one."""
    if not host or host in [*shown]:
        return None
    return "the servers can't be chosen on this page: set TCPLAB_SINGLE and the like where the load starts"


class Forms:
    """Refuses forms with bad values."""

    def __init__(self, environment: Environment, stopped: Callable[[], object]) -> None:
        """Call `stopped` when the run is stopped on the page."""
        self._environment = environment
        self._stopped = stopped

    def watch(self, app: Flask, bound: str) -> None:
        """Guard the page, bound to an address, against other web pages; check each form before Locust gets it."""
        own = web_guard.own_names(bound, vars(self._environment.parsed_options)["web_hosts"])
        locust_internals.wrap_page(app, lambda application: web_guard.Guard(application, own))
        app.before_request(self._check)
        app.after_request(self._forget_host)
        app.after_request(self._keep_steady)

    def _check(self) -> Response | None:
        """Return an answer that refuses a bad form; None if Locust may answer."""
        route = (request.endpoint or "").rpartition(".")[2]
        if route == "stop":
            self._stopped()
        elif route == "update_user":
            return self._refuse_if(of_users(request.get_data(), self._hosts()), HTTPStatus.BAD_REQUEST)
        elif route == "swarm":
            shown = {self._environment.host or "", *self._hosts().values()}
            wrong = of_a_run(request.form, locust_internals.form_fields(), shown)
            keeps_shape = request.form.get("shape_class", "Default") == "Default"
            g.steady = keeps_shape and locust_internals.runs_shape(self._environment.runner)
            return self._refuse_if(wrong, HTTPStatus.BAD_REQUEST) or self._refuse_if(self._wrong_settings())
        return None

    def _hosts(self) -> dict[str, str]:
        """Return each user class's server, by the class's name."""
        classes = self._environment.available_user_classes or self._environment.user_classes_by_name
        return {name: each.host or "" for name, each in classes.items()}

    def _wrong_settings(self) -> str | None:
        """Return what is wrong with the lab's own settings in the form."""
        options = vars(self._environment.parsed_options)
        try:
            # Locust keeps the last run time if the field is empty.
            typed = request.form.get("run_time")
            seconds = locust_internals.seconds_of(typed) if typed else options.get("run_time")
            settings.read({**options, **request.form, "run_time": seconds})
        except ValueError as error:
            return str(error)
        return None

    def _refuse_if(self, wrong: str | None, status: HTTPStatus = HTTPStatus.OK) -> Response | None:
        """Return an answer that says what is wrong, if anything is; the page shows it only with status 200."""
        if wrong is None:
            return None
        answer = jsonify({"success": False, "message": f"tcplab: {wrong}", "host": self._environment.host})
        answer.status_code = status
        return answer

    def _forget_host(self, answer: Response) -> Response:
        """Ignore the form's host: Locust would send all classes' users to it."""
        self._environment.host = None
        return answer

    def _keep_steady(self, answer: Response) -> Response:
        """Keep the number of users that a form sets while a shape runs."""
        options, runner = vars(self._environment.parsed_options), self._environment.runner
        accepted = (answer.get_json(silent=True) or {}).get("success")
        if g.get("steady") and runner is not None and accepted:
            locust_internals.replace_shape(runner, shaping.SteadyShape(options["num_users"], options["spawn_rate"]))
        return answer
