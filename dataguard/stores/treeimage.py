"""Writing the tree of a version as an image: every name, and no content.

One pass over the entries in path order. Memory is that of the largest directory's names.
"""

from __future__ import annotations

import os
import stat
from array import array
from dataclasses import field
from itertools import pairwise
from typing import IO, TYPE_CHECKING

from dataguard.core import erofs
from dataguard.core.columns import fixed_bytes, kind_mask, numbers, raw_paths
from dataguard.core.mountable import check_mountable, refuse_unmountable
from dataguard.core.numeric import np
from dataguard.errors import ConflictError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.tree import Looks

__all__ = ["write_image"]

_READ_AND_SEARCH = 0o555
_NID = 8


def write_image(file: IO[bytes], entries: Iterable[pa.RecordBatch], looks: Looks) -> None:
    """Write the image of a version to an empty file.

    Entries have a manifest's columns, and may have `mtime_ns`, `mode`, `uid` and `gid` beside them;
    what they lack, all files take from the looks. Nobody may write, whatever the modes say.

    Raises:
        ConflictError: a name can be none on a local file system.
        OSError: the file cannot be written.
    """
    image = _Image(file, looks)
    for batch in entries:
        image.add(batch)
    image.finish()


@dataclass(slots=True)
class _Open:
    """A directory whose names are not all known yet.

    `parents_at` is where the directories in it name it as `..`: it is written after them, so its
    own place is known last.
    """

    path: bytes
    names: list[bytes] = field(default_factory=lambda: [b".", b".."])
    nids: array[int] = field(default_factory=lambda: array("Q", (0, 0)))
    kinds: bytearray = field(default_factory=lambda: bytearray([erofs.DIRECTORY] * 2))
    parents_at: array[int] = field(default_factory=lambda: array("Q"))

    def put(self, name: bytes, nid: int, kind: int) -> None:
        self.names.append(name)
        self.nids.append(nid)
        self.kinds.append(kind)


@dataclass(frozen=True, slots=True)
class _Content:
    """A finished directory's content; where it names itself, and its parent."""

    blocks: bytearray
    itself_at: int
    parent_at: int


@dataclass(frozen=True, slots=True)
class _Room:
    """Where an inode and its content go: whole blocks first, and a tail that follows the inode."""

    block_at: int
    whole: int
    inode_at: int
    tail: int

    def place(self, offset: int) -> int:
        """Return where a byte of the content is."""
        if offset < self.whole:
            return self.block_at + offset
        return self.inode_at + erofs.INODE + offset - self.whole


class _Image:
    def __init__(self, file: IO[bytes], looks: Looks) -> None:
        self._file, self._looks = file, looks
        self._owner = (looks.uid, looks.gid)
        self._at = file.seek(erofs.BLOCK)
        self._inodes = 1
        self._open = [_Open(b"")]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next entries."""
        paths = check_mountable(raw_paths(batch))
        nids = np.zeros(len(paths), np.uint64)
        kinds = np.full(len(paths), erofs.FILE, np.uint8)
        kinds[kind_mask(batch, "d")] = erofs.DIRECTORY
        kinds[kind_mask(batch, "l")] = erofs.LINK
        self._files(batch, nids)
        self._links(batch, nids)
        here = self._open[-1]
        for path, nid, kind in zip(paths, nids.tolist(), kinds.tolist(), strict=True):
            folder, _, name = path.rpartition(b"/")
            if folder != here.path:
                here = self._enter(folder)
            if kind == erofs.DIRECTORY:
                self._close(_Open(path), here)
            else:
                here.put(name, nid, kind)

    def finish(self) -> None:
        """Write what is still open, the root last, and the head."""
        root = self._enter(b"")
        content, nid = _content(root), erofs.ROOT_AT // erofs.SLOT
        _fill(content, content.itself_at, nid)
        _fill(content, content.parent_at, nid)
        start = _aligned(self._at, erofs.BLOCK)
        self._pad_to(start)
        self._write(content.blocks)
        self._pad_to(_aligned(self._at, erofs.BLOCK))
        self._file.seek(0)
        self._file.write(erofs.head(self._at // erofs.BLOCK, self._inodes))
        self._file.write(self._directory(root, len(content.blocks), start, tail=0))
        self._name_parent(root, nid)

    def _files(self, batch: pa.RecordBatch, nids: np.ndarray) -> None:
        rows = np.flatnonzero(kind_mask(batch, "f"))
        if not len(rows):
            return
        sizes = numbers(batch.column("size"))[rows]
        if int(sizes.max()) > erofs.LARGEST:
            raise ConflictError(f"a file has more than {erofs.LARGEST} bytes, which no tree shows")
        digests = batch.column("digest")
        table = np.frombuffer(fixed_bytes(digests), np.uint8).reshape(len(digests), -1)
        looks = self._looks
        records = erofs.file_inodes(
            _column(batch, "mode", looks.file_mode)[rows] & _READ_AND_SEARCH,
            sizes,
            _column(batch, "mtime_ns", looks.mtime_ns)[rows],
            (_column(batch, "uid", looks.uid)[rows], _column(batch, "gid", looks.gid)[rows]),
            table[rows].tobytes(),
        )
        start = _aligned(self._at, erofs.SLOT)
        self._pad_to(start)
        self._write(records.tobytes())
        nids[rows] = (start + np.arange(len(rows)) * records.shape[1]) // erofs.SLOT
        self._inodes += len(rows)

    def _links(self, batch: pa.RecordBatch, nids: np.ndarray) -> None:
        targets = batch.column("link_target")
        times = _column(batch, "mtime_ns", self._looks.mtime_ns)
        for row in np.flatnonzero(kind_mask(batch, "l")).tolist():
            target: bytes = targets[row].as_py()
            room = self._room(len(target))
            record = erofs.inode(
                stat.S_IFLNK | 0o777,
                len(target),
                block=room.block_at // erofs.BLOCK,
                inline=bool(room.tail),
                owner=self._owner,
                mtime_ns=int(times[row]),
                links=1,
            )
            self._put(room, record, target)
            nids[row] = room.inode_at // erofs.SLOT

    def _enter(self, folder: bytes) -> _Open:
        """Leave the directories that a path is not in, and open those on the way to it."""
        while not _is_in(folder, self._open[-1].path):
            left = self._open.pop()
            self._close(left, self._open[-1])
        for path in _way(folder, self._open[-1].path):
            self._open.append(_Open(path))
        return self._open[-1]

    def _close(self, directory: _Open, parent: _Open) -> None:
        """Write a directory, all of whose names are known, and name it in its parent."""
        content = _content(directory)
        room = self._room(len(content.blocks))
        nid = room.inode_at // erofs.SLOT
        _fill(content, content.itself_at, nid)
        record = self._directory(directory, len(content.blocks), room.block_at, tail=room.tail)
        self._put(room, record, content.blocks)
        parent.parents_at.append(room.place(content.parent_at))
        parent.put(directory.path.rpartition(b"/")[2], nid, erofs.DIRECTORY)
        self._name_parent(directory, nid)

    def _directory(self, directory: _Open, size: int, block_at: int, *, tail: int) -> bytes:
        looks = self._looks
        return erofs.inode(
            stat.S_IFDIR | looks.directory_mode,
            size,
            block=block_at // erofs.BLOCK,
            inline=bool(tail),
            owner=self._owner,
            mtime_ns=looks.mtime_ns,
            links=2 + len(directory.parents_at),
        )

    def _name_parent(self, directory: _Open, nid: int) -> None:
        """Tell the directories in a directory where that is."""
        if directory.parents_at:
            self._file.flush()
        for place in directory.parents_at:
            os.pwrite(self._file.fileno(), nid.to_bytes(_NID, "little"), place)

    def _room(self, length: int) -> _Room:
        tail = length % erofs.BLOCK
        if erofs.INODE + tail > erofs.BLOCK:
            tail = 0
        whole = length - tail
        block_at = _aligned(self._at, erofs.BLOCK) if whole else self._at
        after = block_at + _aligned(whole, erofs.BLOCK)
        inode_at = _aligned(after, erofs.SLOT)
        if tail and inode_at % erofs.BLOCK + erofs.INODE + tail > erofs.BLOCK:
            inode_at = _aligned(after, erofs.BLOCK)
        return _Room(block_at, whole, inode_at, tail)

    def _put(self, room: _Room, record: bytes, content: bytes | bytearray) -> None:
        self._pad_to(room.block_at)
        self._write(content[: room.whole])
        self._pad_to(room.inode_at)
        self._write(record + content[room.whole :])
        self._inodes += 1

    def _pad_to(self, place: int) -> None:
        self._write(bytes(place - self._at))

    def _write(self, content: bytes | bytearray | memoryview) -> None:
        self._at += self._file.write(content)


def _aligned(place: int, unit: int) -> int:
    return -(-place // unit) * unit


def _content(directory: _Open) -> _Content:
    """Return what a finished directory holds, sorted.

    Raises:
        ConflictError: a name is that of a file and of a directory.
    """
    names = directory.names
    order = sorted(range(len(names)), key=names.__getitem__)
    ordered = [names[row] for row in order]
    for before, name in pairwise(ordered):
        if before == name:
            path = directory.path + b"/" + name if directory.path else name
            refuse_unmountable(path, "it is a file and a directory")
    nids = np.frombuffer(directory.nids, np.uint64)[order]
    kinds = np.frombuffer(directory.kinds, np.uint8)[order]
    blocks, places = erofs.directory_blocks(ordered, nids, kinds)
    itself, parent = (int(places[ordered.index(name)]) for name in (b".", b".."))
    return _Content(bytearray(blocks), itself, parent)


def _fill(content: _Content, place: int, nid: int) -> None:
    content.blocks[place : place + _NID] = nid.to_bytes(_NID, "little")


def _is_in(folder: bytes, path: bytes) -> bool:
    return not path or folder == path or folder.startswith(path + b"/")


def _way(folder: bytes, path: bytes) -> Iterator[bytes]:
    """Yield the directories below one on the way to another, which is the last."""
    at = len(path) + 1 if path else 0
    while folder != path and at <= len(folder):
        cut = folder.find(b"/", at)
        cut = len(folder) if cut < 0 else cut
        yield folder[:cut]
        at = cut + 1


def _column(batch: pa.RecordBatch, name: str, instead: int) -> np.ndarray:
    """Return a column of numbers, with one value for all where the entries don't have it.

    Objects have times; what stands for their owner and mode means nothing.
    """
    names = batch.schema.names
    unowned = "etag" in names and name != "mtime_ns"
    if unowned or name not in names or batch.column(name).null_count:
        return np.full(batch.num_rows, instead, np.int64)
    return numbers(batch.column(name))
