"""The parts of an EROFS image that shows names, sizes and times, and keeps no content.

Pure: bytes from values. The kernel's `fs/erofs/erofs_fs.h` defines the form. All metadata is
addressed by *nids*, places in units of 32 bytes. A file has no blocks of its own: an overlay reads
its content from the layer of data, at the place that the attribute `redirect` names.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BLOCK",
    "DIRECTORY",
    "FILE",
    "INODE",
    "LARGEST",
    "LINK",
    "ROOT_AT",
    "SLOT",
    "directory_blocks",
    "file_inodes",
    "head",
    "inode",
]

BLOCK = 4096
SLOT = 32
"""What a nid counts in bytes."""
INODE = 64
ROOT_AT = 1024 + 128
"""Where the root's inode is: behind the superblock, since its nid has 16 bits only."""
FILE, DIRECTORY, LINK = 1, 2, 7
"""Kinds of names in a directory."""
LARGEST = 1 << (12 + 31)
"""The size in bytes that a file must not exceed: one hole is all that it consists of."""

_MAGIC, _CHUNKED = 0xE0F5E1E2, 0x4
_EXTENDED, _PLAIN, _INLINE, _CHUNKS = 1, 0 << 1, 2 << 1, 4 << 1
_ONE_CHUNK, _HOLE = 31, 0xFFFFFFFF
_TRUSTED, _ATTRIBUTES_HEAD = 4, 12
_METACOPY, _REDIRECT = b"overlay.metacopy", b"overlay.redirect"
_INODE = struct.Struct("<HHHHQIIIIQIIQQ")
_ENTRY = 12
_REGULAR = 0o100000


def head(blocks: int, inodes: int) -> bytes:
    """Return the superblock of an image of so many blocks, with what lies before it."""
    fields = struct.pack(
        "<IIIBBHQQIIII16s16sI",
        *(_MAGIC, 0, 0, 12, 0, ROOT_AT // SLOT, inodes, 0, 0, blocks, 0, 0, b"", b"", _CHUNKED),
    )
    return bytes(1024) + fields.ljust(128, b"\0")


def inode(
    mode: int,
    size: int,
    *,
    block: int,
    inline: bool,
    owner: tuple[int, int],
    mtime_ns: int,
    links: int,
) -> bytes:
    """Return the inode of a directory or a link, whose content begins at a block.

    What does not fill the last block follows the inode where it is `inline`, within its block.
    """
    layout = _EXTENDED | (_INLINE if inline else _PLAIN)
    seconds, rest = divmod(mtime_ns, 10**9)
    fields = (
        layout,
        0,
        mode,
        0,
        size,
        block,
        0,
        *owner,
        seconds & (1 << 64) - 1,
        rest,
        links,
        0,
        0,
    )
    return _INODE.pack(*fields)


def file_inodes(
    modes: np.ndarray,
    sizes: np.ndarray,
    mtimes_ns: np.ndarray,
    owners: tuple[np.ndarray, np.ndarray],
    digests: bytes | memoryview,
) -> np.ndarray:
    """Return one row of bytes for each file: its inode and where its content lies.

    A digest leads to `/<first two hex digits>/<hex digits>` in the layer of data. Empty files lead
    nowhere. All rows are of one length, a multiple of `SLOT`.
    """
    hexed = np.frombuffer(digests.hex().encode(), np.uint8).reshape(len(sizes), -1)
    record, attributes, chunk_at, width = _file_record(hexed.shape[1])
    rows = np.frombuffer(bytearray(record) * len(sizes), np.uint8).reshape(len(sizes), width)
    at = chunk_at - hexed.shape[1] - 4
    rows[:, at + 1 : at + 3] = hexed[:, :2]
    rows[:, at + 4 : chunk_at] = hexed
    empty = sizes == 0
    rows[empty, INODE:] = 0
    seconds, rest = np.divmod(mtimes_ns, 10**9)
    _put(rows, 0, "<u2", np.where(empty, _EXTENDED | _PLAIN, _EXTENDED | _CHUNKS))
    _put(rows, 2, "<u2", np.where(empty, 0, attributes))
    _put(rows, 4, "<u2", modes & 0o7777 | _REGULAR)
    _put(rows, 8, "<u8", sizes)
    _put(rows, 16, "<u4", np.where(empty, 0, _ONE_CHUNK))
    _put(rows, 24, "<u4", owners[0])
    _put(rows, 28, "<u4", owners[1])
    _put(rows, 32, "<i8", seconds)
    _put(rows, 40, "<u4", rest)
    return rows


def directory_blocks(
    names: Sequence[bytes], nids: np.ndarray, kinds: np.ndarray
) -> tuple[bytes, np.ndarray]:
    """Return the content of a directory in blocks, the last one short, and where each nid is in it.

    Names come in bytewise order.
    """
    lengths = np.fromiter(map(len, names), np.int64, len(names))
    ends = np.cumsum(lengths + _ENTRY)
    blocks: list[bytes] = []
    places: list[np.ndarray] = []
    first = 0
    while first < len(names):
        before = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, before + BLOCK, side="right"))
        part = slice(first, last)
        places.append(len(blocks) * BLOCK + np.arange(last - first) * _ENTRY)
        block = _directory_block(names[part], lengths[part], nids[part], kinds[part])
        blocks.append(block if last == len(names) else block.ljust(BLOCK, b"\0"))
        first = last
    return b"".join(blocks), np.concatenate(places)


def _directory_block(
    names: Sequence[bytes], lengths: np.ndarray, nids: np.ndarray, kinds: np.ndarray
) -> bytes:
    entries = np.zeros(len(names), np.dtype("<u8,<u2,u1,u1"))
    entries["f0"], entries["f2"] = nids, kinds
    entries["f1"] = len(names) * _ENTRY + np.cumsum(lengths) - lengths
    return entries.tobytes() + b"".join(names)


def _file_record(digits: int) -> tuple[bytes, int, int, int]:
    """Return what all files with digests of so many hex digits have in common.

    That is a record, the number of its attributes as EROFS counts them, where the one address of
    its content is, and the record's length.
    """
    place = b"/../" + bytes(digits)
    attributes = _attribute(_METACOPY, b"") + _attribute(_REDIRECT, place)
    record = bytearray(INODE + _ATTRIBUTES_HEAD) + attributes
    struct.pack_into("<I", record, 44, 1)
    chunk_at = len(record)
    record += struct.pack("<I", _HOLE)
    record += bytes(-len(record) % SLOT)
    return bytes(record), len(attributes) // 4 + 1, chunk_at, len(record)


def _attribute(name: bytes, value: bytes) -> bytes:
    whole = struct.pack("<BBH", len(name), _TRUSTED, len(value)) + name + value
    return whole + bytes(-len(whole) % 4)


def _put(rows: np.ndarray, at: int, form: str, values: np.ndarray) -> None:
    width = np.dtype(form).itemsize
    column = np.ascontiguousarray(values).astype(form).view(np.uint8).reshape(len(rows), width)
    rows[:, at : at + width] = column
