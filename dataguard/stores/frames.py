"""Files that only grow, by checked frames: whatever was cut off or damaged is never taken."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Frame", "append_frames", "frames"]

_HEAD = struct.Struct("<4sI16s")
_BODY_MAX = 1 << 28
"""Far more than is ever written: a damaged length must not make anybody read a whole disk."""


class Frame(NamedTuple):
    """One frame: what it holds, its content, and where the next one begins."""

    tag: bytes
    body: bytes
    end: int


def append_frames(descriptor: int, content: list[tuple[bytes, bytes]]) -> None:
    """Write frames, given as tag (4 bytes) and body, to the end of a file opened to append.

    A process that is killed meanwhile leaves whole frames and one that is not taken.

    Raises:
        OSError: the disk is full or fails.
    """
    parts = []
    for tag, body in content:
        parts += [_HEAD.pack(tag, len(body), _checksum(tag, body)), body]
    rest = memoryview(b"".join(parts))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def frames(descriptor: int, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Yield the frames from a position on, up to `stop` or the first that is not sound.

    Raises:
        OSError: the file cannot be read.
    """
    while stop is None or start < stop:
        head = os.pread(descriptor, _HEAD.size, start)
        if len(head) < _HEAD.size:
            return
        tag, length, checksum = _HEAD.unpack(head)
        if length > _BODY_MAX:
            return
        body = os.pread(descriptor, length, start + _HEAD.size)
        if len(body) < length or _checksum(tag, body) != checksum:
            return
        start += _HEAD.size + length
        yield Frame(tag, body, start)


def _checksum(tag: bytes, body: bytes) -> bytes:
    one = xxhash.xxh3_128(tag)
    one.update(body)
    return one.digest()
