"""What a version says of one entry, as far as somebody needs it who reads that entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.entry import Kind

__all__ = ["Baseline", "PinnedEntry"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What `fstat` said of a file when it was hashed, times in ns."""

    inode: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class PinnedEntry:
    """One row of a manifest, with its row in the sheet of the location it is read at.

    `baseline` is None where the sheet has none that can be relied on; `version_id` and `etag` are
    those of an object, `modified_ns` its time.
    """

    path: bytes
    kind: Kind
    size: int
    digest: bytes
    link_target: bytes | None = None
    baseline: Baseline | None = None
    version_id: str | None = None
    etag: str | None = None
    modified_ns: int | None = None
