"""The process behind a FUSE mount of objects: reads them by blocks, when they are asked for.

Started as `python -m dataguard.actions.servedobjects`, it gets everything as open descriptors: the
description of what it shows, the connection to the kernel, and the files for attempts and faults.
Credentials are found where they are used, as by every reader of the bucket. It ends with the mount.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import xxhash

from dataguard.actions.cacheplaces import pin_holds
from dataguard.core.objectplaces import bucket_of, prefix_of
from dataguard.errors import DataguardError, NotFoundError
from dataguard.model.cache import Marks
from dataguard.model.cache import Wanted as Content
from dataguard.model.entry import Kind
from dataguard.model.fault import Fault, FaultKind
from dataguard.model.objects import ObjectPlace
from dataguard.model.pinned import PinnedEntry
from dataguard.model.served import ServedTree
from dataguard.mounts.faults import FAULT_LIMIT, note_fault
from dataguard.mounts.fuserefusal import Refusing, library, serve
from dataguard.stores.blocks import Blocks
from dataguard.stores.cacheplace import CachePlace
from dataguard.stores.demand import Demanded, Reader, WrongDigestError
from dataguard.stores.lookup import Lookup
from dataguard.stores.manifests import ManifestStore
from dataguard.stores.nodecache import NodeCache
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectreplica import ObjectReplica
from dataguard.stores.pinnedsource import ChangedGoldError
from dataguard.stores.s3access import access_to
from dataguard.stores.versiontree import VersionTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.stores.pinnedsource import Replica

__all__ = ["Objects", "main"]

_UNIT = 512
_STATFS_BLOCK = 4096
_NAME_MAX = 255
_DOTS = 2


class Objects(Refusing):
    """The operations of mfusepy over a version in a bucket; called by several threads."""

    def __init__(
        self, shown: ServedTree, caller: Callable[[], tuple[int, int, int]], log: int, faults: int
    ) -> None:
        """Look the manifest up, which is verified.

        Raises:
            DataguardError: it is damaged, or no such bucket can be reached.
        """
        super().__init__(caller, log)
        self._shown, self._faults, self._noted_faults = shown, faults, 0
        lookup = Lookup(ManifestStore(shown.home), shown.root, shown.algorithm, shown.sheet)
        self._tree, self._replica = VersionTree(lookup), _replica(shown)
        self._cache = _cache(shown)
        self._blocks = Blocks(shown.blocks)
        self._lock = threading.Lock()
        self._files: dict[bytes, Demanded] = {}
        self._wrong: set[bytes] = set()
        self._open: dict[int, Reader | int] = {}
        self._numbers = count(1)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return what lstat tells."""
        del fh
        name = _bytes(path)
        entry = self._tree.entry(name) if name else None
        if entry is None and not self._tree.is_directory(name):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self._attributes(name, entry)

    def readdir_with_offset(
        self, path: str, offset: int, _fh: int
    ) -> Iterator[tuple[str, dict[str, int], int]]:
        """Yield names with kind and inode, behind an offset that was yielded with the name before.

        libfuse would keep a directory without offsets in memory, and begin at its first name for
        each few dozen.
        """
        for number, dots in enumerate((".", ".."), 1):
            if offset < number:
                yield dots, {}, number
        place = max(offset - _DOTS, 0)
        for child, behind in self._tree.children_from(_bytes(path), place):
            name = child.path if isinstance(child, PinnedEntry) else child
            kind = _kind(child if isinstance(child, PinnedEntry) else None)
            last = name.rpartition(b"/")[2].decode("utf-8", "surrogateescape")
            yield last, {"st_mode": kind, "st_ino": _inode(name)}, behind + _DOTS

    def readlink(self, path: str) -> str:
        """Return a link's target as it is."""
        target = self._entry(path).link_target or b""
        return target.decode("utf-8", "surrogateescape")

    def open(self, path: str, flags: int) -> int:
        """Open a file for reading: from the node cache where it is there, else from the bucket."""
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            self.refuse("open", path)
        entry = self._entry(path)
        handle: Reader | int | None = self._cached(entry)
        if handle is None:
            handle = Reader(self._file(entry))
        with self._lock:
            number = next(self._numbers)
            self._open[number] = handle
        return number

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Return bytes of an open file."""
        handle = self._open[fh]
        if isinstance(handle, int):
            return os.pread(handle, size, offset)
        try:
            return handle.read(offset, size)
        except ChangedGoldError as err:
            self._note_fault(_bytes(path), err)
            raise

    def release(self, _path: str, fh: int) -> int:
        """Close a file; what was read of it stays for a while."""
        with self._lock:
            handle = self._open.pop(fh)
            if isinstance(handle, Reader) and not self._is_open(handle.file):
                self._files.pop(handle.file.entry.path, None)
        if isinstance(handle, int):
            os.close(handle)
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        """Return the size of the version; there is no room for more."""
        blocks = -(-self._shown.bytes // _STATFS_BLOCK)
        sizes = {"f_bsize": _STATFS_BLOCK, "f_frsize": _STATFS_BLOCK, "f_blocks": blocks}
        return {**sizes, "f_files": self._shown.files, "f_namemax": _NAME_MAX}

    def _entry(self, path: str) -> PinnedEntry:
        found = self._tree.entry(_bytes(path))
        if found is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found

    def _cached(self, entry: PinnedEntry) -> int | None:
        if self._cache is None or not entry.size:
            return None
        wanted = Content(self._shown.algorithm, entry.digest, entry.size)
        with suppress(DataguardError):  # whoever may not look into the cache reads from the bucket
            return self._cache.open(wanted)
        return None

    def _file(self, entry: PinnedEntry) -> Demanded:
        with self._lock:
            if entry.path in self._wrong:
                raise WrongDigestError.at(self._shown.place, "its content is not what was pinned")
            found = self._files.get(entry.path)
            if found is None:
                source = self._replica.open(entry, verify=False)
                found = Demanded(entry, source, self._shown.algorithm, self._blocks)
                self._files[entry.path] = found
            return found

    def _is_open(self, file: Demanded) -> bool:
        return any(isinstance(one, Reader) and one.file is file for one in self._open.values())

    def _attributes(self, name: bytes, entry: PinnedEntry | None) -> dict[str, int]:
        looks, kind = self._shown.looks, _kind(entry)
        modes = {stat.S_IFREG: looks.file_mode, stat.S_IFLNK: 0o777}
        mtime = looks.mtime_ns
        if entry is not None and entry.modified_ns is not None:
            mtime = entry.modified_ns
        size = entry.size if entry is not None else 0
        return {
            "st_mode": kind | modes.get(kind, looks.directory_mode),
            "st_ino": _inode(name),
            "st_nlink": 2 if kind == stat.S_IFDIR else 1,
            "st_uid": looks.uid,
            "st_gid": looks.gid,
            "st_size": size,
            "st_blocks": -(-size // _UNIT),
            **dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), mtime),
        }

    def _note_fault(self, path: bytes, err: ChangedGoldError) -> None:
        kind = FaultKind.REPLACED
        if isinstance(err, WrongDigestError):
            kind = FaultKind.WRONG
        elif isinstance(err.__cause__, NotFoundError):
            kind = FaultKind.GONE
        with self._lock:
            if kind is FaultKind.WRONG:
                if path in self._wrong:
                    return
                self._wrong.add(path)
            if self._noted_faults >= FAULT_LIMIT:
                return
            self._noted_faults += 1
        fault = Fault(kind, path, err.strerror or str(err), datetime.now(UTC))
        with suppress(OSError):  # a full disk must not turn EIO into anything else
            note_fault(self._faults, fault)


def main(description: int, connection: int, log: int, faults: int) -> None:
    """Serve a mount until it goes; the descriptors are the caller's to close.

    Raises:
        ImportError: mfusepy is not installed.
        OSError: libfuse 3 is not.
        DataguardError: what it is to show cannot be read.
    """
    with open(description, encoding="utf-8", closefd=False) as stream:
        shown = ServedTree.parse(stream.read())
    operations = Objects(shown, library().fuse_get_context, log, faults)
    serve(operations, connection, threads=True)


def _replica(shown: ServedTree) -> Replica:
    access = access_to(bucket_of(shown.place), ObjectPlace(), shown.objects, os.environ)
    connect = partial(ObjectClient, access)
    return ObjectReplica(
        shown.place, prefix_of(shown.place), shown.algorithm, connect, doubted=False
    )


def _cache(shown: ServedTree) -> NodeCache | None:
    """Return the node cache to look into; it is not filled, so no mark of it counts."""
    if not os.path.isdir(shown.cache):
        return None
    place = CachePlace(shown.cache, shown.group)
    return NodeCache(place, marks=Marks(0, 0), clock=lambda: datetime.now(UTC), holds=pin_holds)


def _bytes(path: str) -> bytes:
    return path.strip("/").encode("utf-8", "surrogateescape")


def _kind(entry: PinnedEntry | None) -> int:
    if entry is None or entry.kind is Kind.DIRECTORY:
        return stat.S_IFDIR
    return stat.S_IFLNK if entry.kind is Kind.SYMLINK else stat.S_IFREG


def _inode(path: bytes) -> int:
    return xxhash.xxh3_64_intdigest(path) or 1


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]))
