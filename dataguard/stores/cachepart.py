"""A file of the node cache on its way in: held by one process, resumed after its death."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Self

from dataguard.errors import NoRoomError, StoreUnreachableError, WrongBytesError
from dataguard.model.cache import CacheObject
from dataguard.stores.flags import sync_filesystem
from dataguard.stores.hashing import new_hash

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from dataguard.model.cache import Fetch, Wanted
    from dataguard.stores.hashing import Hash

__all__ = ["Part", "as_object", "digest_of", "look_at", "sync_all"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_AT_ONCE = 1 << 20
_PUBLISHED = 0o444
_TOGETHER = 8
"""So many files are durable sooner by one syncfs than by as many fsyncs."""

_KEEP_SIZE = 0x1  # linux/falloc.h: the size of the file tells how much of it is there
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Part:
    """An object's file before it is complete, which nobody else writes."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def hold(cls, path: str, *, mode: int, wait: bool) -> Self | None:
        """Open the part at a path, as the only one; None where somebody has it and `wait` is off.

        The kernel lets go of it when the process ends, however that happens. What another user
        left is begun anew: it could not be given its permissions; and so is what is no file, or has
        another name as well.

        Raises:
            StoreUnreachableError: it cannot be opened.
        """
        how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        while True:
            descriptor = _opened(path, mode)
            held = cls(path, descriptor)
            try:
                fcntl.flock(descriptor, how)
                if _is_at(path, descriptor):
                    if _is_own(os.fstat(descriptor)):
                        os.fchmod(descriptor, mode)  # whatever the umask: others wait for it
                        return held
                    held.discard()
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                held.close()
                raise
            held.close()  # it was published or removed while this process waited

    def close(self) -> None:
        """Let go of it; what is there stays for whoever comes next."""
        # Said aloud: a child that was forked meanwhile has the descriptor too.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def discard(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    @property
    def allocated(self) -> int:
        """Bytes that it takes on the disk."""
        return os.fstat(self._descriptor).st_blocks * 512

    def reserve(self, size: int) -> None:
        """Take the disk blocks for so many bytes, where the file system can.

        Raises:
            NoRoomError: there are not so many.
            StoreUnreachableError: the disk failed.
        """
        if size == 0:
            return
        libc = ctypes.CDLL(None, use_errno=True)
        length = ctypes.c_int64(size)
        if libc.fallocate64(self._descriptor, _KEEP_SIZE, ctypes.c_int64(0), length) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR):
            raise _failed("reserve room for", self.path, OSError(number, os.strerror(number)))

    def load(self, wanted: Wanted, fetch: Fetch) -> None:
        """Bring all bytes in: those that are there are read again, the others fetched.

        Where an error ends that, what came stays for the next one. Left-overs that turn out to be
        wrong, after a power failure for example, are fetched anew.

        Raises:
            WrongBytesError: the source gives other bytes; the part is removed.
            StoreUnreachableError: they cannot be written.
            DataguardError: `fetch` raised it.
        """
        start = self._size()
        if start and start <= wanted.size and self._loaded(wanted, fetch, start):
            return
        self._truncate()
        if not self._loaded(wanted, fetch, 0):
            size = self._size()
            self.discard()
            more = "more" if size > wanted.size else f"{size}"
            what = "another content" if size == wanted.size else f"{more} bytes"
            raise WrongBytesError(
                f"the source gave {what} for {wanted}, which has {wanted.size} bytes",
                hint="what the source holds has to be audited: dataguard audit REF --level full",
            )

    def publish(self, target: str, wanted: Wanted) -> CacheObject:
        """Give it its name, under which it is never written again; it must be durable already.

        Raises:
            StoreUnreachableError: that does not work.
        """
        try:
            os.rename(self.path, target)
            # Not durable by itself: without its name after a power failure it is fetched again.
            return as_object(wanted, os.fstat(self._descriptor))
        except OSError as err:
            raise _failed("publish", target, err) from err

    def finish(self) -> None:
        """Let nobody write it any more, and give back blocks that were not needed.

        Raises:
            StoreUnreachableError: that does not work.
        """
        try:
            os.fchmod(self._descriptor, _PUBLISHED)
        except OSError as err:
            raise _failed("finish", self.path, err) from err

    def sync(self, *, with_others: bool = False) -> None:
        """Make its bytes durable; with others, those of all files of its file system.

        Raises:
            StoreUnreachableError: they are not.
        """
        try:
            (sync_filesystem if with_others else os.fsync)(self._descriptor)
        except OSError as err:
            raise _failed("write", self.path, err) from err

    def _loaded(self, wanted: Wanted, fetch: Fetch, start: int) -> bool:
        taken = new_hash(wanted.algorithm)()
        if start:
            self._read_again(taken)
        size = start
        if size < wanted.size:
            size = self._taken(fetch(start), taken, start, wanted.size)
        return size == wanted.size and taken.digest() == wanted.digest

    def _read_again(self, taken: Hash) -> None:
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            _hashed(self._descriptor, taken)
        except OSError as err:
            raise _failed("read", self.path, err) from err

    def _taken(self, chunks: Iterator[bytes], taken: Hash, start: int, limit: int) -> int:
        """Write and hash what comes, until it is more than there can be; return the size then."""
        size = start
        with closing(_closable(chunks)) as stream:
            for chunk in stream:
                view = memoryview(chunk)
                size += len(view)
                taken.update(view)
                self._write(view)
                if size > limit:
                    break
        return size

    def _write(self, view: memoryview) -> None:
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as err:
            raise _failed("write", self.path, err) from err

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _truncate(self) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        except OSError as err:
            raise _failed("write", self.path, err) from err


def sync_all(parts: Sequence[Part]) -> None:
    """Make the bytes of parts of one cache durable.

    Raises:
        StoreUnreachableError: they are not.
    """
    if len(parts) >= _TOGETHER:
        parts[0].sync(with_others=True)
        return
    for part in parts:
        part.sync()


def look_at(path: str, wanted: Wanted) -> CacheObject | None:
    """Return a file of the cache as it is now; None where there is none, or no file.

    Raises:
        StoreUnreachableError: it cannot be looked at.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as err:
        raise _failed("look at", path, err) from err
    return as_object(wanted, status) if stat.S_ISREG(status.st_mode) else None


def digest_of(path: str, wanted: Wanted) -> tuple[CacheObject, bytes]:
    """Read a file of the cache; return what it was then, its size too, and its digest.

    Raises:
        FileNotFoundError: it is gone.
        StoreUnreachableError: it cannot be read.
    """
    taken = new_hash(wanted.algorithm)()
    try:
        descriptor = os.open(path, _READ)
        try:
            _hashed(descriptor, taken)
            return as_object(wanted, os.fstat(descriptor)), taken.digest()
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as err:
        raise _failed("read", path, err) from err


def as_object(wanted: Wanted, status: os.stat_result) -> CacheObject:
    """Return what a file's status says of it, with the size that it has."""
    found = type(wanted)(wanted.algorithm, wanted.digest, status.st_size)
    return CacheObject(found, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _opened(path: str, mode: int) -> int:
    try:
        try:
            return os.open(path, _FLAGS, mode)
        except PermissionError:  # another user's: to wait for it, reading is enough
            return os.open(path, _READ)
    except OSError as err:
        raise _failed("open", path, err) from err


def _is_own(status: os.stat_result) -> bool:
    """Whether a part may be written: a file of this user's, or for root anybody's.

    One with two names is what somebody else calls his file, and would be overwritten with it.
    """
    mine = os.geteuid() in (0, status.st_uid)
    return mine and stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _hashed(descriptor: int, taken: Hash) -> None:
    """Take the rest of a file."""
    buffer = bytearray(_AT_ONCE)
    view = memoryview(buffer)
    while count := os.readv(descriptor, [buffer]):
        taken.update(view[:count])


def _is_at(path: str, descriptor: int) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _closable(chunks: Iterator[bytes]) -> Generator[bytes]:
    yield from chunks


def _failed(what: str, path: str, err: OSError) -> StoreUnreachableError:
    said = f"cannot {what} {path}: {err.strerror}"
    if err.errno in _FULL:
        return NoRoomError(said, hint="dataguard cache prune --to 1G")
    return StoreUnreachableError(said, hint=f"ls -ld {os.path.dirname(path)}")
