"""What a place allows to seal, and what must hold while it is sealed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.policy import Seal
from dataguard.model.seal import DirectoryMode
from dataguard.stores.descent import Descent
from dataguard.stores.flags import WITHOUT_FLAGS, is_immutable, may_set_flags
from dataguard.stores.local import exclusion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "check_sealable",
    "count_excluded",
    "directory_modes",
    "offers_flags",
    "only_one",
    "settle",
]

_SETTLE_MAX_S = 2.0


def directory_modes(place: str, paths: Iterable[bytes]) -> Iterator[DirectoryMode]:
    """Yield directories with the modes and inodes they have now.

    Raises:
        StoreUnreachableError: one cannot be opened.
    """
    try:
        with Descent(place, exact=True) as tree:
            for path in paths:
                status = os.fstat(tree.open(path))
                yield DirectoryMode(path, stat.S_IMODE(status.st_mode), status.st_ino)
    except OSError as err:
        raise StoreUnreachableError(f"cannot look at {place}: {err.strerror}") from err


def offers_flags(place: str, kind: str) -> bool:
    """Whether the file system of a directory, of a type, has immutable flags of its own.

    Raises:
        NotFoundError: there is no such directory.
        StoreUnreachableError: it cannot be looked at.
    """
    # On an overlay the flag would be set on a copy, FUSE passes it on to nobody knows what.
    if kind == "overlay" or kind.startswith("fuse"):
        return False
    try:
        with Descent(place) as tree:
            is_immutable(tree.root)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise NotFoundError(f"no directory {place}") from err
    except OSError as err:
        if err.errno in WITHOUT_FLAGS:
            return False
        raise StoreUnreachableError(f"cannot look at {place}: {err.strerror}") from err
    return True


@contextlib.contextmanager
def only_one(place: str) -> Iterator[None]:
    """Keep every other seal and opening of a place out.

    Raises:
        ConflictError: one is at work.
        StoreUnreachableError: the place cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        try:
            tree = stack.enter_context(Descent(place, exact=True))
            fcntl.flock(tree.root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise ConflictError(
                f"somebody else seals or unseals {place} now", hint="wait for it, then run it again"
            ) from err
        except OSError as err:
            raise StoreUnreachableError(f"cannot open {place}: {err.strerror}") from err
        yield


def check_sealable(place: str, kind: str, seal: Seal) -> None:
    """Check what can be known before anything is touched; `kind` is the file system's type.

    Raises:
        ConflictError: a symlink is on the way to it.
        NotFoundError: there is no such directory.
        StoreUnreachableError: it is mounted read-only, or cannot be looked at.
        UsageError: the file system has no such seal, or the caller may not set it.
    """
    try:
        status, mount = os.stat(place), os.statvfs(place)
        may_set = may_set_flags()
    except FileNotFoundError as err:
        raise NotFoundError(f"no directory {place}") from err
    except OSError as err:
        raise StoreUnreachableError(f"cannot look at {place}: {err.strerror}") from err
    if os.path.realpath(place) != place:
        raise ConflictError(
            f"{place} is reached through a symlink now: it is not where it was registered",
            hint=f"ls -ld {place}",
        )
    if mount.f_flag & os.ST_RDONLY:
        raise StoreUnreachableError(
            f"{place} is mounted read-only: a seal cannot be set there",
            hint="seal it where it can be written; a read-only mount needs no seal",
        )
    if seal is Seal.IMMUTABLE:
        _check_flags(place, kind, may_set=may_set)
    elif os.geteuid() not in (0, status.st_uid):
        raise UsageError(
            f"only the owner of {place} and root may take write permission away",
            hint="run it as the owner, or as root",
        )


def settle(tick_ns: int) -> None:
    """Wait until a change can no longer have the time of an earlier one."""
    if tick_ns:
        time.sleep(min(_SETTLE_MAX_S, 2 * tick_ns / 1e9))


def count_excluded(place: str, patterns: tuple[str, ...]) -> int:
    """Return how many names below a place the patterns take out, not counting what is in them.

    Raises:
        StoreUnreachableError: a directory cannot be listed.
    """
    excluded = exclusion(patterns)
    if excluded is None:
        return 0
    count, pending = 0, [b""]
    try:
        with Descent(place) as tree:
            while pending:
                directory = pending.pop()
                prefix = directory + b"/" if directory else b""
                with os.scandir(tree.open(directory)) as items:
                    found = [(os.fsencode(i.name), i.is_dir(follow_symlinks=False)) for i in items]
                for name, is_directory in found:
                    if excluded(prefix + name, is_directory):
                        count += 1
                    elif is_directory:
                        pending.append(prefix + name)
    except OSError as err:
        raise StoreUnreachableError(f"cannot list {place}: {err.strerror}") from err
    return count


def _check_flags(place: str, kind: str, *, may_set: bool) -> None:
    instead = "--seal mode takes away write permission, which root and the owner can undo"
    if not offers_flags(place, kind):
        raise UsageError(f"{place} lies on {kind}, which has no immutable flags here", hint=instead)
    if not may_set:
        raise UsageError(
            f"cannot seal {place}: immutable flags need CAP_LINUX_IMMUTABLE (root)", hint=instead
        )
