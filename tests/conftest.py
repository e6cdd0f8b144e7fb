"""What holds for all tests, however they were started."""

import signal

import pytest

pytest.register_assert_rewrite("tests.support")


def pytest_configure() -> None:
    """Hear SIGINT again: a shell starts its background jobs deaf to it, and all processes of the tests would be so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
