"""Who may read a directory's files, asked before they are copied to where others may read them."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from dataguard.core.columns import raw_paths
from dataguard.core.paths import is_inside
from dataguard.errors import StoreUnreachableError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

__all__ = ["Readers", "closed_to"]

_ACCESS_LIST = "system.posix_acl_access"
_WITHOUT_LIST = (errno.ENODATA, errno.EOPNOTSUPP)
_GONE = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Readers:
    """Whoever may read a copy: a group, or everybody where that is None."""

    group: int | None

    def may(self, status: os.stat_result, wanted: int) -> bool:
        """Whether each of them has these rights (of 4 to read, 1 to search) by the mode.

        A member of the entry's own group has the rights of that group, even if others have more.
        """
        for_group = (status.st_mode >> 3) & wanted == wanted
        if self.group is not None and status.st_gid == self.group:
            return for_group
        return for_group and status.st_mode & wanted == wanted


def closed_to(
    readers: Readers, place: str, copies: str, batches: Iterable[pa.RecordBatch]
) -> bytes | None:
    """Return the first path that some of those who could read copies may not read; None if none.

    `batches` name the entries below the directory `place`, in path order. Every file is looked at,
    and every directory on the way to it: from the root of the file system on, but for those that
    are also on the way to `copies`, which keep out the same people. What is not there cannot be
    copied. An access control list may refuse anybody, so what has one is closed.

    Raises:
        StoreUnreachableError: something cannot be looked at.
    """
    try:
        closed = _closed_above(readers, place, copies)
        if closed is not None:
            return closed
        top = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise _unseen(place, err) from err
    try:
        return next(_closed_below(readers, top, place, batches), None)
    finally:
        os.close(top)


def _closed_above(readers: Readers, place: str, copies: str) -> bytes | None:
    """Return the topmost directory on the way, the last one included, that keeps readers out."""
    real, kept = os.path.realpath(place), os.path.realpath(copies)
    above = "/"
    for name in ("", *os.path.dirname(real).strip("/").split("/")):
        above = os.path.join(above, name)
        if not is_inside(kept, above) and not _is_open(readers, above, 1):
            return os.fsencode(above)
    return None if _is_open(readers, real, 5) else os.fsencode(place)


def _closed_below(
    readers: Readers, top: int, place: str, batches: Iterable[pa.RecordBatch]
) -> Iterator[bytes]:
    before: bytes = b""
    for batch in batches:
        kinds = batch.column("kind").to_pylist()
        for path, kind in zip(raw_paths(batch).to_pylist(), kinds, strict=True):
            folder = path if kind == "d" else path.rpartition(b"/")[0]
            for entered in _entered(before, folder):
                if not _is_open_at(readers, top, place, entered, directory=True):
                    yield entered
            before = folder
            if kind == "f" and not _is_open_at(readers, top, place, path, directory=False):
                yield path


def _entered(before: bytes, folder: bytes) -> Iterator[bytes]:
    """Yield the directories on the way to a folder that are not on the way to the one before.

    Law: over the folders of all paths in path order, each directory is yielded once.
    """
    at = 0
    while folder and at >= 0:
        at = folder.find(b"/", at + 1)
        entered = folder if at < 0 else folder[:at]
        if before != entered and not before.startswith(entered + b"/"):
            yield entered


def _is_open_at(readers: Readers, top: int, place: str, path: bytes, *, directory: bool) -> bool:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        entry = os.open(path, flags, dir_fd=top)
    except OSError as err:
        if err.errno in _GONE:
            return True
        raise _unseen(os.path.join(os.fsencode(place), path), err) from err
    try:
        kind = stat.S_ISDIR if directory else stat.S_ISREG
        is_kind = kind(os.fstat(entry).st_mode)
        return is_kind and _is_open(readers, f"/proc/self/fd/{entry}", 5 if directory else 4)
    except OSError as err:
        raise _unseen(os.path.join(os.fsencode(place), path), err) from err
    finally:
        os.close(entry)


def _is_open(readers: Readers, path: str, rights: int) -> bool:
    return readers.may(os.stat(path), rights) and not _has_list(path)


def _has_list(path: str) -> bool:
    try:
        os.getxattr(path, _ACCESS_LIST)
    except OSError as err:
        return err.errno not in _WITHOUT_LIST
    return True


def _unseen(place: str | bytes, err: OSError) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"cannot look at {os.fsdecode(place)}: {err.strerror}", hint="mount it as root, or by bind"
    )
