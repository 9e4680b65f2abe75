"""Whether this process may mount, and why not."""

from __future__ import annotations

import os

from dataguard.errors import DataguardError
from dataguard.mounts import mountinfo

__all__ = ["explain_missing", "in_container", "may_mount"]

_CAP_SYS_ADMIN = 21
_MARKERS = (".dockerenv", "run/.dockerenv", "run/.containerenv")
_LAYERED = ("overlay", "aufs", "fuse.fuse-overlayfs", "zfs", "virtiofs")
_GROUP_WORDS = (b"docker", b"kubepods", b"containerd", b"libpod", b"lxc")


def may_mount() -> bool:
    """Whether CAP_SYS_ADMIN is effective; in a user namespace this may still not be enough.

    Raises:
        DataguardError: proc does not say.
    """
    try:
        with open("/proc/self/status", "rb") as stream:
            effective = next(line for line in stream if line.startswith(b"CapEff:"))
        return bool(int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    except (OSError, StopIteration, ValueError) as err:
        raise DataguardError(f"cannot read capabilities from /proc/self/status: {err}") from err


def explain_missing() -> str:
    """Say who lacks CAP_SYS_ADMIN, in words for the user."""
    return f"{'this container' if in_container() else 'this user'} has no CAP_SYS_ADMIN"


def in_container(root: str = "/") -> bool:
    """Whether this process lives in a container: marks of one, and a root that is none's host's.

    The marks alone are left behind in virtual machines that were made from container images,
    whose root is a whole file system like any host's.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    return _is_marked(root) and _is_layered(root)


def _is_marked(root: str) -> bool:
    if any(os.path.exists(os.path.join(root, marker)) for marker in _MARKERS):
        return True
    if b"container=" in _content("/proc/1/environ"):
        return True
    return any(word in _content("/proc/1/cgroup") for word in _GROUP_WORDS)


def _is_layered(root: str) -> bool:
    """Whether the root is an overlay, or a directory of some file system and not all of it."""
    stack = mountinfo.read().at(root)
    return bool(stack) and (stack[-1].filesystem in _LAYERED or stack[-1].root != "/")


def _content(place: str) -> bytes:
    """Return a file's bytes; none where only others may read it, which decides nothing here."""
    try:
        with open(place, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
