"""Greenlets that run as long as their process."""

from collections.abc import Callable

import gevent


def run_for_ever(function: Callable[[], object]) -> gevent.Greenlet:
    """
    Run `function`, which doesn't return, in a greenlet of its own.

    If it fails, so does the process: counts that nobody adds up any more must not look like servers that are silent.
    """
    greenlet = gevent.spawn(function)
    greenlet.link_exception(_give_up)
    return greenlet


def _give_up(failed: gevent.Greenlet) -> None:
    gevent.get_hub().handle_system_error(*failed.exc_info[:2])
