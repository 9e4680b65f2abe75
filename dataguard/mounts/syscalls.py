"""The mount system calls that the standard library lacks, by file descriptor.

The calls raise `OSError`; the backends turn that into dataguard's errors. See open_tree(2),
mount_setattr(2), move_mount(2) and umount(2). The numbers are the same on every architecture
that CPython supports.
"""

from __future__ import annotations

import ctypes
import errno
import os
from enum import Enum

__all__ = [
    "Support",
    "attach",
    "clone_tree",
    "detach",
    "image_mount",
    "make_read_only",
    "mount_new",
    "new_filesystem",
    "probe_support",
    "read_only_overlay",
]

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOSED_ON_EXEC, _SET_FLAG, _SET_STRING, _CREATE = 1, 0, 1, 6
_OPEN_TREE_CLONE = 0x1
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 0x1, 0x2, 0x4
_MS_NOSUID, _MS_NODEV, _MS_PRIVATE = 0x2, 0x4, 1 << 18
_MOVE_FROM_EMPTY_PATH, _MOVE_TO_EMPTY_PATH = 0x4, 0x40
_MNT_DETACH, _UMOUNT_NOFOLLOW = 0x2, 0x8
_NO_PATH = b""


class _Attributes(ctypes.Structure):
    """`struct mount_attr`, its first and so far only version."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


class Support(Enum):
    """Whether this process can make a read-only view of a tree."""

    WORKS = "works"
    UNSUPPORTED = "the kernel has no mount_setattr (Linux 5.12 or newer is needed)"
    FORBIDDEN = "the kernel or a container's filter refuses to clone and change mounts"


def clone_tree(source: int) -> int:
    """Return a descriptor of a detached copy of the mounts at and below an open directory.

    The copy is visible nowhere and dies with the descriptor.
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
    return _call(_OPEN_TREE, source, _NO_PATH, flags)


def make_read_only(tree: int) -> None:
    """Make every mount of a detached tree read-only, without setuid and devices, and private.

    Private: what is mounted below the source later does not appear, writable, in the tree.
    """
    wanted = _Attributes(_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, _MS_PRIVATE, 0)
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    _call(_MOUNT_SETATTR, tree, _NO_PATH, flags, ctypes.byref(wanted), ctypes.sizeof(wanted))


def attach(tree: int, target: int) -> None:
    """Make a detached tree visible at an open directory; the first moment anybody can see it."""
    flags = _MOVE_FROM_EMPTY_PATH | _MOVE_TO_EMPTY_PATH
    _call(_MOVE_MOUNT, tree, _NO_PATH, target, _NO_PATH, flags)


def mount_new(source: str, target: int, filesystem: str, options: str) -> None:
    """Mount a new file system on an open directory, without setuid and devices, see mount(2)."""
    words = (os.fsencode(text) for text in (source, f"/proc/self/fd/{target}", filesystem))
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
    if _libc.mount(*words, flags, os.fsencode(options)) != 0:
        raise _last_error()


def new_filesystem(kind: str) -> int:
    """Return a descriptor by which a file system of a kind can be configured, see fsopen(2)."""
    return _call(_FSOPEN, os.fsencode(kind), _CLOSED_ON_EXEC)


def read_only_overlay(source: str, layers: tuple[int, ...], *, data: int | None = None) -> int:
    """Return a detached overlay of open directories, the upmost first; nothing can write to it.

    With a directory of `data` what the layers hold are names, and the content of files is there.
    """
    lower = ":".join(f"/proc/self/fd/{layer}" for layer in layers)
    if data is None:
        settings = {"source": source, "lowerdir": lower, "redirect_dir": "nofollow"}
    else:
        lower = f"{lower}::/proc/self/fd/{data}"
        settings = {"source": source, "lowerdir": lower, "metacopy": "on", "redirect_dir": "follow"}
    return _new_mount("overlay", settings)


def image_mount(image: int) -> int:
    """Return a detached read-only mount of the EROFS image in an open file; no loop device."""
    return _new_mount("erofs", {"source": f"/proc/self/fd/{image}"})


def _new_mount(kind: str, settings: dict[str, str]) -> int:
    context = new_filesystem(kind)
    try:
        for key, value in settings.items():
            _call(_FSCONFIG, context, _SET_STRING, key.encode(), os.fsencode(value), 0)
        _call(_FSCONFIG, context, _SET_FLAG, b"ro", None, 0)
        _call(_FSCONFIG, context, _CREATE, None, None, 0)
        attributes = _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV
        return _call(_FSMOUNT, context, _CLOSED_ON_EXEC, attributes)
    finally:
        os.close(context)


def detach(parent: int, name: str) -> None:
    """Take the topmost mount at a name in an open directory away, also while it is in use.

    Never follows a link; umount(2) knows no descriptors, but proc has a path for each.
    """
    target = f"/proc/self/fd/{parent}/{name}"
    if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
        raise _last_error()


def probe_support() -> Support:
    """Try all three calls on `/`; nothing becomes visible, since the last one has no target.

    Raises:
        OSError: another reason than a missing call or a missing right.
    """
    try:
        _make_and_drop()
    except OSError as err:
        if err.errno == errno.ENOSYS:
            return Support.UNSUPPORTED
        if err.errno in (errno.EPERM, errno.EACCES):
            return Support.FORBIDDEN
        raise
    return Support.WORKS


def _make_and_drop() -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        tree = clone_tree(root)
        try:
            make_read_only(tree)
            _attach_nowhere(tree)
        finally:
            os.close(tree)
    finally:
        os.close(root)


def _attach_nowhere(tree: int) -> None:
    """Ask for move_mount with a target that cannot exist: a kernel that has it says EBADF."""
    try:
        attach(tree, -1)
    except OSError as err:
        if err.errno != errno.EBADF:
            raise


def _call(number: int, *arguments: object) -> int:
    # variadic arguments are not converted: an int has to be handed over as a register
    registers = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *registers))
    if result < 0:
        raise _last_error()
    return result


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
