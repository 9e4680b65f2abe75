"""What an overlay can lie over, and where its upper layer can be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.mounts import mountinfo
from dataguard.mounts.exposure import WritableMounts

if TYPE_CHECKING:
    from dataguard.mounts.mountinfo import MountTable

__all__ = ["ways_to", "why_no_layers_in", "why_no_overlay_over"]

_NO_LAYER = frozenset({"gpfs", "lustre"})
_NO_UPPER = _NO_LAYER | {
    *("nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "beegfs", "fuse", "fuseblk"),
    *("overlay", "aufs", "vfat", "exfat", "squashfs", "erofs", "iso9660"),
}


def why_no_overlay_over(place: str) -> str | None:
    """Return why no overlay can show a directory as it is, or None.

    What is mounted below it would be seen as empty directories.

    Raises:
        StoreUnreachableError: it cannot be opened.
    """
    table = mountinfo.read()
    below = table.below(place)
    if below:
        return f"{below[0].target} is mounted inside it, and would be seen as an empty directory"
    kind = _kind_of(place, table)
    return f"overlays over {kind} are not reliable" if kind in _NO_LAYER else None


def why_no_layers_in(place: str) -> str | None:
    """Return why the layers of an overlay cannot be in a directory, or None where nobody knows why.

    Raises:
        StoreUnreachableError: it cannot be opened.
    """
    kind = _kind_of(place, mountinfo.read())
    if kind in _NO_UPPER or kind.startswith("fuse."):
        return f"its file system, {kind}, cannot take what an overlay writes"
    return None


def ways_to(place: str) -> tuple[str, ...]:
    """Return the paths by which a directory can be written, through whatever mount."""
    here = os.stat(place)
    return tuple(path for path in WritableMounts().paths_to(place) if _is(path, here))


def _is(path: str, here: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), here)
    except OSError:
        return False  # hidden under another mount, or out of this user's reach


def _kind_of(place: str, table: MountTable) -> str:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as err:
        raise StoreUnreachableError(f"cannot open {place}: {err.strerror}") from err
    try:
        holding = table.holding(mountinfo.mount_id_of(descriptor))
    finally:
        os.close(descriptor)
    return "" if holding is None else holding.filesystem
