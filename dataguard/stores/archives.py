"""The members of archives that may be gold: their sizes and digests, found without unpacking.

Formats are known by their first bytes. Of a zip the central directory alone is read, and of its
members those whose size is wanted; a tar is a stream, and what is not wanted is passed over.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import closing
from dataclasses import field
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

import pyarrow as pa

from dataguard.core.archivelimits import Allowance, ArchiveLimits, LimitReachedError
from dataguard.model.dataclass import dataclass
from dataguard.stores.archiveforms import HEAD, Form, Metered, form_of, unpacked
from dataguard.stores.hashing import new_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataguard.model.digest import Algorithm

__all__ = ["ArchiveLook", "Member", "Wanted", "look_into"]

_PIECE = 1 << 18
_HEADER_MAX = 1 << 20
"""A name or a record of one member that is longer is no name, but a way to fill the memory."""

_SPOOL = 1 << 22
"""Up to this size an archive inside another is held in memory."""

_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    pa.ArrowException,
    EOFError,
    OSError,
    ValueError,  # names that are no text, offsets before the beginning
    NotImplementedError,  # methods of compression that zipfile does not know
    OverflowError,
)
"""What the libraries raise where an archive is not what its headers say."""

_LONG = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: `may_hold` tells of a size whether gold has it; and the digests."""

    may_hold: Callable[[int], bool]
    algorithms: Sequence[Algorithm]


class Member(NamedTuple):
    """A member that may be gold: its names from the outermost archive inwards, and its digests.

    `stored` is about what it takes in the file.
    """

    names: tuple[bytes, ...]
    size: int
    stored: int
    digests: tuple[bytes, ...]


@dataclass(slots=True)
class ArchiveLook:
    """What an archive holds.

    `members` are those of a wanted size, `others` counts the rest with anything in it. `gap` says
    what could not be looked at; empty where all was.
    """

    members: list[Member] = field(default_factory=list)
    others: int = 0
    gap: str = ""


def look_into(
    descriptor: int,
    wanted: Wanted,
    *,
    limits: ArchiveLimits | None = None,
    expired: Callable[[], bool] = lambda: False,
) -> ArchiveLook | None:
    """Return what an open file holds; None where it is no archive. The descriptor stays open.

    Damage, encryption and limits are told in the result.

    Raises:
        OSError: the file cannot be read at all.
    """
    head = os.pread(descriptor, HEAD, 0)
    if form_of(head) is None:
        return None
    limits, stored = limits or ArchiveLimits(), os.fstat(descriptor).st_size
    with open(os.dup(descriptor), "rb") as file:
        file.seek(0)
        reading = _Reading(wanted, limits, Allowance(limits, stored, expired))
        reading.run(file, stored)
    return reading.found


class _TarInfo(tarfile.TarInfo):
    """A header that may not ask for more memory than a name needs, nor end an archive silently."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        """Return a header.

        Raises:
            ReadError: it is damaged, or a name is too long.
        """
        try:
            found = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as err:
            if buf and not any(buf):  # the end mark
                raise
            # What is damaged or cut off `tarfile` takes for the end too.
            words = f"damaged header: {err}" if buf else "it is cut off: there is no end mark"
            raise tarfile.ReadError(words) from err
        if found.type in _LONG and found.size > _HEADER_MAX:
            raise tarfile.ReadError("a name of more than 1 MiB")
        return found


class _Reading:
    """One archive while it is looked into."""

    def __init__(self, wanted: Wanted, limits: ArchiveLimits, allowance: Allowance) -> None:
        self._wanted = wanted
        self._limits = limits
        self._allowance = allowance
        self._new = [new_hash(one) for one in wanted.algorithms]
        self._encrypted = 0
        self.found = ArchiveLook()

    def run(self, file: BinaryIO, stored: int) -> None:
        """Look at everything, as far as it can be read."""
        gaps = []
        try:
            self._archive(file, stored, (), 1)
        except LimitReachedError as err:
            gaps.append(str(err))
        except MemoryError:
            gaps.append("it asks for more memory than there is")
        if self._encrypted:
            gaps.append(f"{self._encrypted:,} of its members are encrypted")
        self.found.gap = "; ".join(filter(None, (*gaps, self.found.gap)))

    def _archive(self, file: BinaryIO, stored: int, names: tuple[bytes, ...], depth: int) -> None:
        """Look into an archive that is open at its beginning."""
        try:
            form = form_of(file.read(HEAD))
            file.seek(0)
            if form is Form.ZIP:
                self._zip(file, names, depth)
            elif form is Form.TAR:
                self._tar(Metered(file, self._allowance), names, depth)
            elif form is not None:
                self._stream(form, file, stored, names, depth)
        except LimitReachedError:
            raise
        except RuntimeError as err:  # what zipfile raises for a password
            self._note(names, err)
        except _DAMAGED as err:
            self._note(names, err)

    def _note(self, names: tuple[bytes, ...], err: Exception) -> None:
        inside = "/".join(name.decode("utf-8", "backslashreplace") for name in names)
        # The first one says enough: what follows it may be its consequence.
        where = f"{inside}: " if inside else ""
        self.found.gap = self.found.gap or f"{where}{str(err) or type(err).__name__}"

    def _stream(
        self, form: Form, file: BinaryIO, stored: int, names: tuple[bytes, ...], depth: int
    ) -> None:
        """Look into what is compressed as a whole: a tar, or one file."""
        first = len(self.found.members)
        with closing(unpacked(form, file)) as content:
            head = Metered(content, self._allowance).read(HEAD)
            stream = Metered(content, self._allowance, head)
            if form_of(head) is Form.TAR:
                self._tar(stream, names, depth)
            else:
                self._allowance.take_member()
                self._member(stream, names or (b"",), None, stored, depth)
        whole = max(stream.taken, 1)
        members = self.found.members
        members[first:] = [
            one._replace(stored=min(one.size * stored // whole, stored)) for one in members[first:]
        ]

    def _tar(self, stream: Metered, names: tuple[bytes, ...], depth: int) -> None:
        with tarfile.open(
            fileobj=cast("IO[bytes]", stream),
            mode="r|",
            tarinfo=_TarInfo,
            errors="surrogateescape",
            encoding="utf-8",
        ) as tar:
            while (info := tar.next()) is not None:
                vars(tar)["members"] = []  # it would remember each one
                self._allowance.take_member()
                content = tar.extractfile(info) if info.isreg() and info.size else None
                if content is not None:
                    name = info.name.encode("utf-8", "surrogateescape")
                    plain = Metered(cast("BinaryIO", content), _UNCOUNTED)
                    self._member(plain, (*names, name), info.size, info.size, depth)
        while rest := stream.read(_PIECE):  # to the end: what is cut off there is damage as well
            self.found.others += bool(rest.strip(b"\0"))

    def _zip(self, file: BinaryIO, names: tuple[bytes, ...], depth: int) -> None:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                self._allowance.take_member()
                if info.is_dir() or not info.file_size:
                    continue
                if info.flag_bits & 1:
                    self._encrypted += 1
                    self.found.others += 1
                    continue
                try:
                    self._zip_member(archive, info, names, depth)
                except (*_DAMAGED, RuntimeError) as err:
                    self.found.others += 1
                    self._note((*names, _raw_name(info)), err)

    def _zip_member(
        self,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        names: tuple[bytes, ...],
        depth: int,
    ) -> None:
        with archive.open(info) as content:
            stream = Metered(cast("BinaryIO", content), self._allowance)
            path = (*names, _raw_name(info))
            self._member(stream, path, info.file_size, info.compress_size, depth)

    def _member(
        self,
        stream: Metered,
        names: tuple[bytes, ...],
        size: int | None,
        stored: int,
        depth: int,
    ) -> None:
        """Take one member into account; `size` is None where only reading it will tell."""
        wanted = size is None or self._wanted.may_hold(size)
        head = stream.read(HEAD)
        inner = depth < self._limits.depth and form_of(head) is not None
        if not wanted and not inner:
            self.found.others += 1
            return
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            hashes = [new() for new in self._new]
            taken, piece = 0, head
            while piece:
                for one in hashes:
                    one.update(memoryview(piece))
                taken += len(piece)
                inner = inner and self._may_spool(taken, names)
                if inner:
                    spool.write(piece)
                piece = stream.read(_PIECE)
            digests = tuple(one.digest() for one in hashes)
            self._keep(Member(names, taken, stored, digests), inner=inner)
            if inner:
                spool.seek(0)
                self._archive(cast("BinaryIO", spool), stored, names, depth + 1)

    def _may_spool(self, size: int, names: tuple[bytes, ...]) -> bool:
        if size > self._limits.inner:
            self._note(names, ValueError("an archive in it is too large to be unpacked"))
            return False
        return True

    def _keep(self, member: Member, *, inner: bool) -> None:
        if self._wanted.may_hold(member.size):
            self.found.members.append(member)
        elif member.size and not inner:
            self.found.others += 1


class _Uncounted(Allowance):
    """For what is read through a stream that counts already."""

    def take_bytes(self, count: int) -> None:
        """Count nothing."""


_UNCOUNTED = _Uncounted(ArchiveLimits(), 0)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """Return a member's name as the archive has it."""
    encoding = "utf-8" if info.flag_bits & 0x800 else "cp437"
    return info.orig_filename.encode(encoding, "surrogateescape")
