"""Recursive read-only bind mounts: the strongest backend, for holders of CAP_SYS_ADMIN."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.mount import Backend, Guarantee
from dataguard.model.mountpoint import Made
from dataguard.mounts import mountinfo, points, privilege, syscalls

if TYPE_CHECKING:
    from dataguard.model.mount import MountRecord

__all__ = ["BindBackend"]


class BindBackend:
    """Clone the source's mounts detached, make them read-only, then attach them in one step.

    The tree is never visible writable, and a crash between the steps leaves nothing, since a
    detached tree dies with its descriptor. Why not mount(8): see the decision page 0004.
    """

    name = Backend.BIND
    guarantee = Guarantee.ENFORCED

    def unavailable(self) -> str | None:
        """Return why this process cannot bind; found out by trying, which leaves nothing."""
        if not privilege.may_mount():
            return privilege.explain_missing()
        try:
            support = syscalls.probe_support()
        except OSError as err:
            return f"cloning a mount fails: {err.strerror}"
        return None if support is syscalls.Support.WORKS else support.value

    def make(self, source: str, target: str) -> Made:
        """Show `source` and every mount below it read-only at `target`.

        Raises:
            ConflictError: the target is in use, or the kernel refuses.
            StoreUnreachableError: the source is not there.
        """
        points.make_point(target)
        with points.opened_source(source) as shown, points.opened_target(target) as point:
            expected = os.fstat(shown)
            try:
                _attach_read_only(shown, point)
            except OSError as err:
                raise ConflictError(
                    f"cannot mount {source} at {target}: {err.strerror}", hint="dataguard doctor"
                ) from err
        return _made(target, expected)

    def undo(self, record: MountRecord) -> None:
        """Take every mount of ours at the target away, also while it is in use.

        Raises:
            ConflictError: a foreign mount is there, or the kernel refuses.
        """
        while mountinfo.read().at(record.target):
            if not _is_ours(record):
                raise ConflictError(
                    f"something else is mounted at {record.target}",
                    hint=f"findmnt {record.target}",
                )
            try:
                _detach(record.target)
            except OSError as err:
                raise ConflictError(
                    f"cannot unmount {record.target}: {err.strerror}",
                    hint="unmount as the user who mounted it, root as a rule",
                ) from err


def _attach_read_only(source: int, target: int) -> None:
    tree = syscalls.clone_tree(source)
    try:
        syscalls.make_read_only(tree)
        syscalls.attach(tree, target)
    finally:
        os.close(tree)


def _detach(target: str) -> None:
    parent, name = os.path.split(target)
    with points.held(parent) as at:
        syscalls.detach(at, name)


def _made(target: str, expected: os.stat_result) -> Made:
    """Return what is visible at the target after making sure that it is the source."""
    with points.opened_target(target) as point:
        seen, mount_id = os.fstat(point), mountinfo.mount_id_of(point)
    if (seen.st_dev, seen.st_ino) != (expected.st_dev, expected.st_ino):
        raise ConflictError(
            f"something else was mounted at {target} meanwhile", hint=f"findmnt {target}"
        )
    return Made(seen.st_dev, seen.st_ino, mount_id)


def _is_ours(record: MountRecord) -> bool:
    """Compare what is visible with the record; a dead file system is known by its mount id."""
    try:
        seen = os.lstat(record.target)
    except OSError:
        stack = mountinfo.read().at(record.target)
        return bool(stack) and stack[-1].mount_id == record.mount_id
    return (seen.st_dev, seen.st_ino) == (record.root_device, record.root_inode)
