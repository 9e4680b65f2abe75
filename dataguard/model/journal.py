"""What an interrupted `register` leaves: whose it is, what it holds, how often it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import Algorithm, DigestPlan

__all__ = ["PACE", "Amount", "JournalHead", "JournalKey", "Pace", "journal_schema"]


@dataclass(frozen=True, slots=True)
class JournalKey:
    """What an attempt must have in common with the one that it goes on with.

    `algorithms` are all that one read computes, the main one first; `uid` is who reads.
    """

    place: str
    algorithms: tuple[Algorithm, ...]
    exclude: tuple[str, ...]
    uid: int


@dataclass(frozen=True, slots=True)
class JournalHead:
    """What stands before the rows of one attempt; `started` is when it began to read.

    Without a file system no row can vouch for anything later.
    """

    key: JournalKey
    filesystem: FileSystem | None
    started: datetime


@dataclass(frozen=True, slots=True)
class Amount:
    """Files, bytes of their content or seconds, whichever comes first."""

    files: int
    size: int
    seconds: float

    def is_reached(self, files: int, size: int, seconds: float) -> bool:
        """Whether one of the three is."""
        return files >= self.files or size >= self.size or seconds >= self.seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is read before a journal is begun, and then between two writes to it."""

    first: Amount
    then: Amount


PACE = Pace(Amount(16_384, 64 << 20, 1.0), Amount(1_024, 16 << 20, 1.0))
"""Nothing for what is read again in a moment; then so often that little is ever read twice."""


def journal_schema(plan: DigestPlan, *, objects: bool = False) -> pa.Schema:
    """Columns of a journal: what vouches for a regular file, and its digests.

    `path` are the raw bytes. All but the paths are as `observed_schema` has them. Of objects also
    what only reading them told, the version where no listing has it.
    """
    numbers = ("size", "mtime_ns", "ctime_ns", "inode")
    digests = [pa.field("digest", pa.binary(plan.main.digest_bytes))]
    digests += [pa.field(str(one), pa.binary(one.digest_bytes)) for one in plan.also]
    told = ("version_id", "checksum", "checksum_type") if objects else ()
    return pa.schema(
        [
            pa.field("path", pa.binary()),
            *(pa.field(name, pa.int64()) for name in numbers),
            pa.field("mode", pa.int32()),
            *(pa.field(name, pa.string()) for name in told),
            *digests,
        ]
    )
