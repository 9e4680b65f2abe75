"""What storage a local place is on, as the kernel tells it in `/proc` and `/sys`.

Sources: proc_pid_mountinfo(5), Documentation/ABI/stable/sysfs-block. Nothing is opened at the
place itself, and a network file system is not even looked at: it may not answer.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.model.medium import Medium
from dataguard.stores.filesystem import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["medium_of"]

_SYS = "/sys"
_MOUNTS = "/proc/self/mountinfo"

_MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs"})
_REMOTE = SHARED | {"virtiofs", "fuse", "smbfs", "pvfs2", "orangefs", "glusterfs", "coda"}

_NETWORK_DISK = re.compile(r"/(nbd|rbd)\d+$|/session\d+/")
"""Block devices that a network serves: nbd, Ceph's rbd, and disks of an iSCSI session."""

_VIRTUAL_BUS = re.compile(r"/(virtio|vbd-|xen)\d*")
_VIRTUAL_VENDORS = frozenset({"QEMU", "VMware", "Msft", "Google", "VBOX", "Amazon"})

_SLOWEST_FIRST = (Medium.NETWORK, Medium.ROTATIONAL, Medium.VIRTUAL, Medium.SOLID_STATE)

_ESCAPE = re.compile(r"\\([0-7]{3})")


def medium_of(place: str, *, sys: str = _SYS, mounts: str = _MOUNTS) -> Medium:
    """Return the medium under an absolute path without links; `unknown` where nothing says.

    Disks of several disks are what the slowest of these is. `sys` is the root of sysfs, `mounts`
    a file like `/proc/self/mountinfo`.
    """
    found = _mount_of(place, mounts)
    if found is None:
        return Medium.UNKNOWN
    kind, device, source = found
    if kind in _MEMORY:
        return Medium.MEMORY
    if kind in _REMOTE or kind.startswith("fuse."):
        return Medium.NETWORK
    folder = f"{sys}/dev/block/{device}"
    if not os.path.exists(folder):  # btrfs and overlays have numbers of their own
        folder = f"{sys}/class/block/{os.path.basename(os.path.realpath(source))}"
    return _slowest(_disks(os.path.realpath(folder)))


def _mount_of(place: str, mounts: str) -> tuple[str, str, str] | None:
    """Return type, device number and source of the mount that shows a place."""
    best, found = "", None
    for line in _text(mounts).split("\n"):
        fields, separator, tail = line.partition(" - ")
        if not separator:
            continue
        device, target = fields.split(" ")[2], _unescaped(fields.split(" ")[4])
        # Mounts of one target hide one another, and the last one is seen.
        if len(target) >= len(best) and is_inside(place, target):
            kind, source = tail.split(" ")[:2]
            best, found = target, (kind, device, _unescaped(source))
    return found


def _disks(device: str) -> Iterator[Medium]:
    """Yield what the disks are that a block device, by its folder in sysfs, is made of."""
    below = f"{device}/slaves"
    slaves = os.listdir(below) if os.path.isdir(below) else []
    for name in slaves:
        yield from _disks(os.path.realpath(f"{below}/{name}"))
    if not slaves:
        is_partition = os.path.exists(f"{device}/partition")
        yield _disk(os.path.dirname(device) if is_partition else device)


def _disk(device: str) -> Medium:
    if _NETWORK_DISK.search(device):
        return Medium.NETWORK
    match _text(f"{device}/queue/rotational").strip():
        case "0":
            return Medium.SOLID_STATE
        case "1":
            return Medium.VIRTUAL if _is_virtual(device) else Medium.ROTATIONAL
        case _:
            return Medium.UNKNOWN


def _is_virtual(device: str) -> bool:
    """Whether a hypervisor made a disk: it rotates for want of better knowledge."""
    vendor = _text(f"{device}/device/vendor").strip()
    return _VIRTUAL_BUS.search(device) is not None or vendor in _VIRTUAL_VENDORS


def _slowest(found: Iterator[Medium]) -> Medium:
    media = set(found)
    return next((one for one in _SLOWEST_FIRST if one in media), Medium.UNKNOWN)


def _unescaped(field: str) -> str:
    raw = os.fsencode(field).decode("latin-1")
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 8) & 0xFF), raw)
    return os.fsdecode(text.encode("latin-1"))


def _text(path: str) -> str:
    """Return a file of the kernel; nothing where it is not there, as in containers."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read()
    except OSError:
        return ""
