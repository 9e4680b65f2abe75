"""File systems whose changes all come to be known to this host's kernel, and the others."""

from __future__ import annotations

__all__ = ["tells_all"]

_TELL_ALL = frozenset(
    {"bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs"}
    | {"nilfs2", "ntfs3", "ramfs", "reiserfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"}
)


def tells_all(kind: str) -> bool:
    """Whether file systems of a type change by this kernel alone, which has an event for it.

    Others (NFS, Lustre, FUSE, overlays, and what is not known) may change without one.
    """
    return kind in _TELL_ALL
