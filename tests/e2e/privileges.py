"""Finds root's rights in a container."""

ROOT = frozenset({"0", "root"})


def of_root(user: str, image_user: str, status: str, *, is_ours: bool) -> list[str]:
    """
    Return a container's rights of root as "source: right"; empty if it has none.

    user, image_user: from the container's and its image's settings. status: the container's /proc/1/status. A foreign
    image whose own user is in group 0 may keep it, as Grafana's does, because that group has no capability.
    """
    ids = {key: value.split() for key, _, value in (line.partition(":") for line in status.splitlines())}
    name, _, group = user.partition(":")
    may_have_group = not is_ours and user == image_user and group in {"", *ROOT}
    found = []
    if name in {"", *ROOT}:
        found.append(f"user: {user!r}")
    if group in ROOT and not may_have_group:
        found.append(f"user's group: {user!r}")
    wrong = ["Uid"] if may_have_group else ["Uid", "Gid", "Groups"]
    found.extend(f"{key}: {' '.join(ids[key])}" for key in wrong if "0" in ids[key])
    return found
