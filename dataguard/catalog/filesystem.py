"""Whether a folder lies on a file system that SQLite's locks can be trusted on."""

from __future__ import annotations

import os

from dataguard.errors import ConfigurationError, StoreUnreachableError

__all__ = ["check_local", "is_network", "kind_of_mount"]

_NETWORK = frozenset(
    ["9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gpfs", "lustre", "smb3", "smbfs", "wekafs"]
)


def check_local(directory: str) -> None:
    """Check that a folder exists and is not on a network file system; touches nothing in it.

    Raises:
        ConfigurationError: it is on one.
        StoreUnreachableError: there is no such folder, or it cannot be looked at.
    """
    try:
        kind = _kind(directory)
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot look at the catalog's folder `{directory}`: {err.strerror}",
            hint="check that it exists, or set DATAGUARD_HOME to another folder",
        ) from err
    if is_network(kind):
        raise ConfigurationError(
            f"the catalog's folder `{directory}` is on `{kind}`, where SQLite's locks do not hold",
            hint="set DATAGUARD_HOME to a local folder, or DATAGUARD_CATALOG to a PostgreSQL URL",
        )


def is_network(kind: str) -> bool:
    """Whether a file system type is one that several hosts or a user's process may serve."""
    return kind in _NETWORK or kind.startswith(("nfs", "fuse."))


def kind_of_mount(mountinfo: str, mount_id: str) -> str:
    """Return the file system type of a mount, from proc_pid_mountinfo(5); empty if not there."""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        if separator and before.split(" ", 1)[0] == mount_id:
            return after.split(" ", 1)[0]
    return ""


def _kind(directory: str) -> str:
    # O_PATH and the descriptor's mount id ask the file system nothing: a dead server cannot hang
    # this, and bind mounts and stacked mounts are told apart, which a path's prefix cannot.
    descriptor = os.open(directory or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as info:
            fields = dict(line.split(":", 1) for line in info)
    finally:
        os.close(descriptor)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return kind_of_mount(mounts.read(), fields["mnt_id"].strip())
