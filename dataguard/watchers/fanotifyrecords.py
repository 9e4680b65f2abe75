"""What the kernel writes into the buffer of a fanotify reader, see fanotify(7)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Mask", "Record", "records"]

_METADATA = struct.Struct("=IBBHQii")
_INFO = struct.Struct("=BBH")
_HANDLE_BYTES = struct.Struct("=I")
_PIDFD = struct.Struct("=i")
_KEY, _HANDLE = 4, 12  # where in an info record fsid and handle begin
_FIXED = 20  # header, fsid, and the handle's own header
_VERSION = 3
_FID, _DFID_NAME, _DFID, _PID, _OLD, _NEW = 1, 2, 3, 4, 10, 12
NO_PIDFD = -1


class Mask:
    """Kinds of events, of which one record may have several; plain numbers, tested in a burst."""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    CREATE = 0x100
    DELETE = 0x200
    OVERFLOW = 0x4000
    RENAME = 0x1000_0000
    ONDIR = 0x4000_0000


class Record(NamedTuple):
    """One event; a tuple, since thousands a second are made and dropped.

    Keys are the file system's id and the handle, as bytes. `parent` and `name` say where it
    happened, after a rename; `old_parent` and `old_name` where it was before. `child` is the file
    or directory itself. Empty is what the kernel did not tell. `pidfd` is negative where the
    process was gone already; else whoever takes the record closes it.
    """

    mask: int
    pid: int
    pidfd: int
    parent: bytes
    name: bytes
    child: bytes
    old_parent: bytes
    old_name: bytes


def records(buffer: bytes) -> Iterator[Record]:
    """Yield the events of a buffer; what is cut off at its end is left out.

    Raises:
        ValueError: a record has another version or contradicts itself.
    """
    at, end = 0, len(buffer)
    while at + _METADATA.size <= end:
        length, version, _, header, mask, _, pid = _METADATA.unpack_from(buffer, at)
        if version != _VERSION or header < _METADATA.size or length < header:
            raise ValueError(f"a fanotify record of version {version} with {length} bytes")
        if at + length > end:
            return
        yield _record(buffer, at + header, at + length, mask, pid)
        at += length


def _record(buffer: bytes, at: int, end: int, mask: int, pid: int) -> Record:
    parent = name = child = old_parent = old_name = b""
    pidfd = NO_PIDFD
    while at + _INFO.size <= end:
        kind, _, length = _INFO.unpack_from(buffer, at)
        if length < _INFO.size or at + length > end:
            raise ValueError(f"a fanotify information record of {length} bytes")
        if kind == _PID:
            pidfd = _pidfd(buffer, at, length)
        elif kind == _FID:
            child, _ = _named(buffer, at, length)
        elif kind in (_DFID_NAME, _DFID, _NEW):
            parent, name = _named(buffer, at, length)
        elif kind == _OLD:
            old_parent, old_name = _named(buffer, at, length)
        at += length
    return Record(mask, pid, pidfd, parent, name, child, old_parent, old_name)


def _pidfd(buffer: bytes, at: int, length: int) -> int:
    if length < _INFO.size + _PIDFD.size:
        raise ValueError("a fanotify process record without a process")
    return int(_PIDFD.unpack_from(buffer, at + _INFO.size)[0])


def _named(buffer: bytes, at: int, length: int) -> tuple[bytes, bytes]:
    """Return key and name of an information record; the name ends at its first null byte."""
    if length < _FIXED:
        raise ValueError("a fanotify record without a handle")
    size = _FIXED + _HANDLE_BYTES.unpack_from(buffer, at + _HANDLE)[0]
    if size > length:
        raise ValueError("a fanotify handle that is longer than its record")
    name = buffer[at + size : at + length].partition(b"\0")[0]
    return buffer[at + _KEY : at + size], b"" if name == b"." else name
