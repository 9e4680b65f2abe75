"""What was in a folder that a link took the place of."""

from __future__ import annotations

from typing import TypeAlias

from dataguard.model.dataclass import dataclass

__all__ = ["FolderEntry"]

RawPath: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One entry of a folder that a link took the place of; the folder itself has an empty path.

    `target` is the text of a symlink, `digest` that of the version for a regular file. `first` is
    the path of the same file where an earlier entry is another name of it.
    """

    path: RawPath
    mode: int
    uid: int
    gid: int
    size: int
    inode: int
    links: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    target: RawPath = b""
    digest: RawPath = b""
    first: RawPath | None = None
