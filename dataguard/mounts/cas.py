"""Mounts from the node cache: an image of names, over a directory of contents.

The image is a read-only file system in a file, the contents lie in the cache under their digests,
and an overlay shows both as ordinary files, read at the speed of the cache's file system. Nothing
is copied or unpacked to mount, so the number of files does not matter.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.mount import Backend, Guarantee
from dataguard.model.mountpoint import OVERLAY, Made, served_as
from dataguard.model.tree import data_of
from dataguard.mounts import points, privilege, syscalls
from dataguard.mounts.overlay import mounted_as, take_away

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.mount import MountRecord

__all__ = ["CasBackend"]

_IMAGES = "erofs"
_OLDEST = (6, 14)
"""The first Linux whose overlays take a mount that is nowhere attached, as an image's is."""
_WRITABLE_BY_OTHERS = 0o022


class CasBackend:
    """Mount an image and an overlay of it and the cache; seen by nobody before it is complete."""

    name = Backend.CAS
    guarantee = Guarantee.ENFORCED

    def unavailable(self) -> str | None:
        """Return why this process cannot mount images of trees."""
        if not privilege.may_mount():
            return privilege.explain_missing()
        if _kernel() < _OLDEST:
            return f"Linux {os.uname().release} is older than {_OLDEST[0]}.{_OLDEST[1]}"
        for kind in (OVERLAY, _IMAGES):
            try:
                os.close(syscalls.new_filesystem(kind))
            except OSError as err:
                return f"the kernel has no {kind} file system, or refuses it: {err.strerror}"
        return None

    def make(self, source: str, target: str) -> Made:
        """Show the tree whose image is at `source`.

        A file whose content is not in the cache can be seen there, and not be opened.

        Raises:
            ConflictError: the target is in use, the image could be another user's doing, or the
                kernel refuses.
            StoreUnreachableError: the image or the cache is not there.
        """
        points.make_point(target)
        with (
            _opened_image(source) as image,
            points.opened_source(data_of(source)) as data,
            points.opened_target(target) as point,
        ):
            status = os.fstat(image)
            label = served_as(status.st_dev, status.st_ino)
            try:
                _attach(image, data, point, label)
            except OSError as err:
                raise ConflictError(
                    f"cannot mount {source} at {target}: {err.strerror}",
                    hint="dataguard doctor; the node cache has to be on a disk of this host",
                ) from err
        return Made(status.st_dev, status.st_ino, mounted_as(target, label))

    def undo(self, record: MountRecord) -> None:
        """Take every mount of this tree at the target away, also while it is in use.

        Raises:
            ConflictError: a foreign mount is there, or the kernel refuses.
        """
        take_away(record)


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(takewhile(str.isdigit, minor)) or 0)


def _attach(image: int, data: int, point: int, label: str) -> None:
    names = syscalls.image_mount(image)
    try:
        tree = syscalls.read_only_overlay(label, (names,), data=data)
    finally:
        os.close(names)
    try:
        syscalls.attach(tree, point)
    finally:
        os.close(tree)


@contextmanager
def _opened_image(source: str) -> Iterator[int]:
    """Hold an image that nobody else could have written.

    The kernel trusts what an image says of itself.
    """
    try:
        image = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        raise StoreUnreachableError(f"cannot open the tree {source}: {err.strerror}") from err
    try:
        status = os.fstat(image)
        own = status.st_uid in (0, os.geteuid()) and not status.st_mode & _WRITABLE_BY_OTHERS
        if not own or not stat.S_ISREG(status.st_mode):
            raise ConflictError(
                f"the tree {source} could have been written by others", hint=f"ls -l {source}"
            )
        yield image
    finally:
        os.close(image)
