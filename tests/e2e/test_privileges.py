"""What counts as root in a container, by real settings and /proc/1/status of some."""

import pytest

from tests.e2e.privileges import of_root


def status(uid: str, gid: str, groups: str = "") -> str:
    """Return /proc/1/status of a process with these real, effective, saved and file system ids."""
    return (
        f"Name:\tinit\nUmask:\t0022\nPid:\t1\nUid:\t{uid}\nGid:\t{gid}\nGroups:\t{groups} \nCapEff:\t0000000000000000\n"
    )


GRAFANA = status("472\t472\t472\t472", "0\t0\t0\t0", "0")
NOBODY = status("65534\t65534\t65534\t65534", "65534\t65534\t65534\t65534")
LAB = status("10001\t10001\t10001\t10001", "10001\t10001\t10001\t10001", "10001")


@pytest.mark.parametrize("user", ["472", "472:0", "472:root", "grafana"])
def test_an_upstream_image_may_declare_group_0(user: str) -> None:
    assert of_root(user, user, GRAFANA, is_ours=False) == []


@pytest.mark.parametrize("user", ["472", "472:0", "10001:root"])
def test_an_image_of_ours_may_not(user: str) -> None:
    assert "Gid: 0 0 0 0" in of_root(user, user, GRAFANA, is_ours=True)


@pytest.mark.parametrize(("user", "image_user"), [("472:0", "472:472"), ("472:0", "65534"), ("472", "")])
def test_group_0_asked_for_only_here_is_found(user: str, image_user: str) -> None:
    assert "Gid: 0 0 0 0" in of_root(user, image_user, GRAFANA, is_ours=False)


def test_group_0_beside_another_group_is_found() -> None:
    assert of_root("472:472", "472:472", GRAFANA, is_ours=False) == ["Gid: 0 0 0 0", "Groups: 0"]


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("user", ["", "0", "root", "0:0", "root:472", "0:10001", ":10001"])
def test_a_user_that_is_root_is_found(user: str, is_ours: bool) -> None:
    assert f"user: {user!r}" in of_root(user, user, LAB, is_ours=is_ours)


@pytest.mark.parametrize("is_ours", [True, False])
@pytest.mark.parametrize("uids", ["0\t0\t0\t0", "472\t0\t472\t472", "472\t472\t0\t472", "472\t472\t472\t0"])
def test_a_root_process_is_found_whatever_is_declared(uids: str, is_ours: bool) -> None:
    found = of_root("472:0", "472:0", status(uids, "0\t0\t0\t0"), is_ours=is_ours)
    assert " ".join(["Uid:", *uids.split()]) in found


@pytest.mark.parametrize("gids", ["0\t0\t0\t0", "10001\t0\t10001\t10001", "10001\t10001\t10001\t0"])
def test_our_process_in_group_0_is_found(gids: str) -> None:
    found = of_root("10001:10001", "10001:10001", status("10001\t10001\t10001\t10001", gids), is_ours=True)
    assert found == [" ".join(["Gid:", *gids.split()])]


def test_a_further_group_0_of_ours_is_found() -> None:
    ids = "10001\t10001\t10001\t10001"
    assert of_root("10001:10001", "10001:10001", status(ids, ids, "10001 0"), is_ours=True) == ["Groups: 10001 0"]


@pytest.mark.parametrize(("user", "text"), [("10001:10001", LAB), ("nobody", NOBODY), ("65534:65534", NOBODY)])
@pytest.mark.parametrize("is_ours", [True, False])
def test_nobody_has_nothing_of_root(user: str, text: str, is_ours: bool) -> None:
    assert of_root(user, user, text, is_ours=is_ours) == []
