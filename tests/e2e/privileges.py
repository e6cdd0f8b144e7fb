"""Whom a container's processes run as."""

ROOT = frozenset({"0", "root"})


def of_root(user: str, image_user: str, status: str, *, is_ours: bool) -> list[str]:
    """
    Return what a container has of root, as "who: what"; empty if it has nothing.

    user, image_user: of the container's settings, and of its image's. status: /proc/1/status of the container. Group 0
    has no capability; an image of others whose own user has that group may keep it, as Grafana's does.
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
