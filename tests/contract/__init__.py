"""One contract for every server: real processes, real sockets, literal bytes."""

import pytest

pytest.register_assert_rewrite("tests.contract.alive", "tests.contract.lab")
