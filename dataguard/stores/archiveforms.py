"""Which format an archive has by its first bytes, and compressed streams as readable files."""

from __future__ import annotations

import tarfile
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from dataguard.core.archivelimits import Allowance

__all__ = ["HEAD", "Form", "Metered", "form_of", "unpacked"]

HEAD = 512
"""Bytes that tell the format: a header of tar."""


class Form(Enum):
    """A format; the values of compressed ones are their first bytes."""

    ZIP = b"PK"
    TAR = b"ustar"
    GZIP = b"\x1f\x8b\x08"
    BZIP2 = b"BZh"
    XZ = b"\xfd7zXZ\x00"
    ZSTD = b"\x28\xb5\x2f\xfd"

    @property
    def is_compressed(self) -> bool:
        """Whether it holds one stream, which may be anything."""
        return self not in (Form.ZIP, Form.TAR)


_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPRESSED = (Form.GZIP, Form.BZIP2, Form.XZ, Form.ZSTD)


def form_of(head: bytes) -> Form | None:
    """Return the format of what begins so; None for what is no archive."""
    if head.startswith(_ZIPS):
        return Form.ZIP
    for form in _COMPRESSED:
        if head.startswith(form.value):
            return form
    return Form.TAR if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    """Whether a header's sum is right; old archives have no magic bytes."""
    if len(head) < HEAD or not head[0]:
        return False
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class Metered:
    """A stream that counts what is read of it, with its first bytes put back."""

    def __init__(self, file: BinaryIO, allowance: Allowance, head: bytes = b"") -> None:
        self._file = file
        self._allowance = allowance
        self._head = head
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` at the end alone.

        Raises:
            LimitReachedError: it holds more than is looked at.
        """
        parts, missing = [], size
        if self._head:
            parts.append(self._head[:missing])
            self._head = self._head[missing:]
            missing -= len(parts[0])
        while missing and (part := self._file.read(missing)):
            self._allowance.take_bytes(len(part))
            parts.append(part)
            missing -= len(part)
        self.taken += size - missing
        return b"".join(parts)


def unpacked(form: Form, file: BinaryIO) -> BinaryIO:
    """Return what a compressed stream holds.

    Reading it raises what its library raises: OSError, EOFError, or one of `DAMAGED`.
    """
    # Each brings a library that other forms do without.
    if form is Form.GZIP:
        import gzip  # noqa: PLC0415

        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
    if form is Form.BZIP2:
        import bz2  # noqa: PLC0415

        return cast("BinaryIO", bz2.BZ2File(file))
    if form is Form.XZ:
        import lzma  # noqa: PLC0415

        return cast("BinaryIO", lzma.LZMAFile(file))
    import pyarrow as pa  # noqa: PLC0415

    return cast("BinaryIO", pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
