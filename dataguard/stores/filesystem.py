"""What file system a local place is on, as far as baselines depend on it."""

from __future__ import annotations

import fcntl
import os
from functools import cache

from dataguard.errors import NotFoundError, StoreUnreachableError
from dataguard.model.dataset import FileSystem

__all__ = ["SHARED", "describe", "file_system_type"]

SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "wekafs", "afs"}
)
"""File systems that several hosts mount, with inode numbers and times of the server."""

_DEVICE_AS_ID = "xfs"
"""A file system whose statvfs id is its device number, which changes when it is attached again."""

_FS_IOC_GETFSUUID = 0x8011_1500  # linux/fs.h since 6.9: a byte with the length, 16 with the UUID
_UUID_BYTES = 16
_POSITIVE = (1 << 63) - 1

_MULTIGRAIN = frozenset({"ext4", "xfs", "btrfs", "tmpfs"})
_TICK_LOCAL_NS = 10_000_000
_TICK_NETWORK_NS = 1_000_000_000


def describe(place: str, host: str) -> FileSystem:
    """Return the file system that holds the directory `place`.

    Raises:
        NotFoundError: there is no such place.
        StoreUnreachableError: the place does not answer.
    """
    try:
        status, statistics = os.stat(place), os.statvfs(place)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise NotFoundError(f"no directory {place}") from err
    except OSError as err:
        raise StoreUnreachableError(f"cannot look at {place}: {err.strerror}") from err
    kind = file_system_type(status.st_dev)
    shared = kind in SHARED or kind.startswith("fuse")
    fsid = (_uuid(place) if kind == _DEVICE_AS_ID else 0) or statistics.f_fsid & _POSITIVE
    return FileSystem(kind, shared, host, status.st_dev, fsid, _tick_ns(kind, shared=shared))


def file_system_type(device: int) -> str:
    """Return the type of the mounted file system with this `st_dev`, or `unknown`."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", "rb") as lines:  # a path may hold any other white space
        for line in lines:
            fields, _, tail = line.partition(b" - ")
            if fields.split(b" ")[2] == wanted.encode():
                return os.fsdecode(tail.split(b" ")[0])
    return "unknown"  # btrfs subvolumes have devices of their own


def _uuid(directory: str) -> int:
    """Return a file system's UUID in 63 bits; 0 where the kernel does not tell."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return 0
    try:
        found = fcntl.ioctl(descriptor, _FS_IOC_GETFSUUID, bytes(1 + _UUID_BYTES))
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    half = _UUID_BYTES // 2
    high, low = found[1 : 1 + half], found[1 + half :]
    return (int.from_bytes(high) ^ int.from_bytes(low)) & _POSITIVE


def _tick_ns(kind: str, *, shared: bool) -> int:
    if shared:
        return _TICK_NETWORK_NS
    if kind in _MULTIGRAIN and _kernel_is_multigrain():
        return 0
    return _TICK_LOCAL_NS


@cache
def _kernel_is_multigrain() -> bool:
    """Whether a change after a look always shows another time.

    Tried on an anonymous file, which lies on tmpfs: ext4, xfs, btrfs and tmpfs got multigrain
    timestamps in one kernel release (Linux 6.13, Documentation/filesystems/multigrain-ts.rst).
    """
    descriptor = os.memfd_create("dataguard-tick")
    try:
        seen = set()
        for _ in range(64):
            os.pwrite(descriptor, b"x", 0)
            seen.add(os.fstat(descriptor).st_ctime_ns)
        return len(seen) == 64  # noqa: PLR2004  one time for each write
    finally:
        os.close(descriptor)
