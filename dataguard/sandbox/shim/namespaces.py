"""Namespaces of the job's own, in which gold is mounted read-only."""

from __future__ import annotations

import errno
import os

from dataguard.sandbox.shim import kernel

__all__ = [
    "are_read_only",
    "attach",
    "cover",
    "enter",
    "freeze",
    "need",
    "protect",
    "repeat",
    "show_processes",
]

_NEW_MOUNTS, _NEW_USERS, _NEW_PIDS = 0x00020000, 0x10000000, 0x20000000
_FLAGS = {b"mount": _NEW_MOUNTS, b"user": _NEW_USERS, b"pid": _NEW_PIDS}
_SET_DUMPABLE = 4
_KERNEL = (
    *(b"proc", b"sysfs", b"cgroup", b"cgroup2", b"configfs", b"debugfs", b"tracefs"),
    *(b"securityfs", b"efivarfs", b"binfmt_misc", b"nfsd"),
)
_OUT_OF_REACH = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP)


def enter(kinds: list[bytes]) -> None:
    """Enter new namespaces; in one of users everybody keeps their own id and no other is known."""
    uid, gid = os.getuid(), os.getgid()
    kernel.prctl(_SET_DUMPABLE, 1)  # /proc/self belongs to root otherwise
    kernel.unshare(sum(_FLAGS[kind] for kind in kinds))
    if b"user" in kinds:
        # In this order; supplementary groups stay with the process, though they have no name.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    kernel.receive_only()


def show_processes() -> None:
    """Let /proc show the processes of this process's namespace."""
    kernel.mount_proc()


def protect(marks: list[list[bytes]], shown: list[list[bytes]]) -> int:
    """Mount gold read-only over each path that leads to it; returns how many paths these are.

    A mark is `gold` or `open`, a path, and device and inode of what is there. All are cloned
    before the first is attached, so that an open place inside gold keeps its writable mount.
    What this user cannot reach is passed over, a job cannot reach it either. `shown` are sources
    and targets of mounts that exist here only.
    """
    trees = []
    for kind, path, identity in marks:
        source = _open(path)
        if source is not None:
            trees.append((path, _clone(source, path, identity, writable=kind == b"open"), kind))
    for source_path, target in shown:
        source = need(source_path)
        trees.append((target, _clone(source, source_path, b"", writable=False), b"gold"))
    for path, tree, _ in sorted(trees, key=lambda one: one[0].count(b"/")):
        attach(tree, path)
    read_only = [path for path, _, kind in trees if kind == b"gold"]
    _verify(read_only, [path for path, _, kind in trees if kind == b"open"])
    return len(read_only)


def freeze(paths: list[bytes]) -> None:
    """Make the kernel's own file systems read-only: root could reach outside by them.

    Of /proc itself only these paths; jobs write there about themselves. A chroot on the host, or
    whoever else mounted one of them, shows the same handlers at another path.
    """
    for path in (*paths, *_kernels_elsewhere()):
        source = _open(path)
        if source is not None:
            attach(_clone(source, path, b"", writable=False), path)


def cover(path: bytes) -> None:
    """Make a directory read-only for the job."""
    attach(_clone(need(path), path, b"", writable=False), path)


def repeat(path: bytes, target: bytes) -> None:
    """Show what is seen at a path at another one too."""
    attach(_clone(need(path), path, b"", writable=True), target)


def are_read_only(paths: list[bytes]) -> bool:
    """Whether gold is seen read-only at all these paths, because somebody mounted it so."""
    return all(_is_read_only(path) for path in paths)


def _clone(source: int, path: bytes, identity: bytes, *, writable: bool) -> int:
    status = os.fstat(source)
    if identity and identity != b"%d:%d" % (status.st_dev, status.st_ino):
        raise OSError(errno.ESTALE, "it was replaced", path)
    try:
        tree = kernel.clone_tree(source)
        if not writable:
            kernel.make_read_only(tree)
    finally:
        os.close(source)
    return tree


def attach(tree: int, path: bytes) -> None:
    """Make a detached tree visible at a path without links in it."""
    target = need(path)
    kernel.attach(tree, target)
    os.close(target)
    os.close(tree)


def _open(path: bytes) -> int | None:
    """Return a descriptor of a path without links in it; None where it is out of reach."""
    try:
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        if err.errno in _OUT_OF_REACH:
            return None
        raise
    if os.readlink(b"/proc/self/fd/%d" % found) != path:
        os.close(found)
        return None
    return found


def need(path: bytes) -> int:
    """Return a descriptor of a path that has to be there, without links in it."""
    found = _open(path)
    if found is None:
        raise OSError(errno.ENOENT, "it is not there, or a link is on the way", path)
    return found


def _verify(paths: list[bytes], opened: list[bytes]) -> None:
    """Ask the kernel again whether what is seen at and below these paths is read-only."""
    with open("/proc/self/mountinfo", "rb") as lines:
        points = [line.split(b" ", 6)[4:6] for line in lines]
    writable = [_unescaped(point) for point, options in points if b"ro" not in options.split(b",")]
    below = (p for p in writable if _below(p, paths) and not _below(p, opened))
    # The list also has mounts that lie hidden under ours: what is seen at their path counts.
    for place in (*paths, *below):
        if not _is_read_only(place):
            raise OSError(errno.EBUSY, "it is still writable", place)


def _kernels_elsewhere() -> list[bytes]:
    """Return where else than at /proc and in /sys one of the kernel's file systems is seen."""
    found = []
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields, _, kind = line.partition(b" - ")
            device, _root, escaped = fields.split(b" ", 5)[2:5]
            path = _unescaped(escaped)
            is_kernels = kind.split(b" ", 1)[0] in _KERNEL
            if is_kernels and path != b"/proc" and not _below(path, [b"/sys"]):
                found.append((path, device))
    return sorted({path for path, device in found if _shows(path, device)})


def _shows(path: bytes, device: bytes) -> bool:
    """Whether a mount is what is seen at its path: a later one may hide it."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return device == b"%d:%d" % (os.major(status.st_dev), os.minor(status.st_dev))


def _is_read_only(place: bytes) -> bool:
    try:
        return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError as err:
        if err.errno in _OUT_OF_REACH:
            return True
        raise


def _below(place: bytes, paths: list[bytes]) -> bool:
    return any(place == path or place.startswith(path.rstrip(b"/") + b"/") for path in paths)


def _unescaped(field: bytes) -> bytes:
    parts = field.split(b"\\")
    return parts[0] + b"".join(bytes([int(p[:3], 8) & 0xFF]) + p[3:] for p in parts[1:])


def _write(path: str, text: str) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(text.encode())
