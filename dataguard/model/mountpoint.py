"""What the kernel shows at a mount point, and what that means for a record of it."""

from __future__ import annotations

from enum import StrEnum

from dataguard.model.dataclass import dataclass

__all__ = [
    "OVERLAY",
    "SERVED",
    "Made",
    "MountPoint",
    "MountStatus",
    "TargetKind",
    "TargetView",
    "served_as",
]

SERVED = "fuse.dataguard"
"""The kind of file system that our own server's mounts are."""


OVERLAY = "overlay"
"""The kind of file system of overlays; ours have a source as `served_as` names it."""


def served_as(device: int | None, inode: int | None) -> str:
    """Return the source that mountinfo shows for a mount of ours with its own file system."""
    return f"dataguard:{device or 0:x}:{inode or 0:x}"


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One line of `/proc/self/mountinfo`, see proc_pid_mountinfo(5).

    Paths are text with surrogate escapes. `device` is `major:minor`, `root` the directory of the
    file system that the mount shows. `read_only` is this mount's own flag, not the superblock's.
    `source` is what the file system calls its device; some can choose it.
    """

    mount_id: int
    parent_id: int
    device: str
    root: str
    target: str
    read_only: bool
    filesystem: str
    source: str = ""


class TargetKind(StrEnum):
    """What a path is where no mount is looked through; `broken` answers with an error."""

    ABSENT = "absent"
    EMPTY = "empty directory"
    FULL = "directory with content"
    LINK = "symlink"
    OTHER = "file"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class TargetView:
    """What is at a target now.

    `stack` holds the mounts exactly there, the visible one last; `below` those deeper; `through`
    is the mount by which the target is seen, there or above. `device` and `inode` are those of
    what is visible, None where nothing answers. `link` is a symlink's target. A mounted directory
    is not listed: its kind is `full`.
    """

    target: str
    kind: TargetKind
    device: int | None = None
    inode: int | None = None
    link: str | None = None
    stack: tuple[MountPoint, ...] = ()
    below: tuple[MountPoint, ...] = ()
    through: MountPoint | None = None

    @property
    def read_only(self) -> bool:
        """Whether it is seen through a read-only mount, and so is everything mounted below it."""
        if self.through is None:
            return False
        return all(point.read_only for point in (self.through, *self.below))


@dataclass(frozen=True, slots=True)
class Made:
    """What a backend made; `mount_id` is None where the kernel mounted nothing."""

    root_device: int
    root_inode: int
    mount_id: int | None = None


class MountStatus(StrEnum):
    """What a mount record is worth now."""

    LIVE = "live"
    DECLARED = "declared"
    LINK = "link"
    MISSING = "missing"
    STALE = "stale"
    REPLACED = "replaced"
    WRITABLE = "writable"
