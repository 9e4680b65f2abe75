"""The system calls of confinement that the standard library lacks.

All of them raise `OSError`. Numbers above 424 are the same on every architecture. See
unshare(2), mount(2), open_tree(2), move_mount(2), mount_setattr(2), prctl(2), capset(2).
"""

from __future__ import annotations

import ctypes
import os

__all__ = [
    "SENT_ON",
    "attach",
    "be_refused",
    "call",
    "clone_tree",
    "drop_capabilities",
    "make_read_only",
    "mount_proc",
    "prctl",
    "receive_only",
    "send_on",
    "unshare",
]

_AT_RECURSIVE = 0x8000
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE = 0x1
_READ_ONLY, _NOSUID, _NODEV = 0x1, 0x2, 0x4
_MOVE_BOTH_EMPTY = 0x4 | 0x40
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC = 0x2, 0x4, 0x8, 0x4000
_MS_PRIVATE, _MS_SLAVE = 1 << 18, 1 << 19
_CAPABILITY_VERSION_3 = 0x20080522
_BOUNDING_DROP, _AMBIENT, _AMBIENT_CLEAR_ALL = 24, 47, 4
_CAPABILITY_SETS, _BITS, _SETPCAP = 3, 32, 8

SENT_ON = -1
"""`si_code` of a signal from sigqueue(3)."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number; texts and buffers are passed on as they are."""
    # Variadic arguments are not converted: an int has to be handed over as a register.
    registers = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *registers))
    if result < 0:
        raise _last_error()
    return result


def prctl(option: int, value: int = 0, more: int = 0) -> None:
    """Change something of this process."""
    if _libc.prctl(option, *(ctypes.c_ulong(a) for a in (value, more, 0, 0))) < 0:
        raise _last_error()


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent."""
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        raise _last_error()


def send_on(process: int, number: int) -> None:
    """Send a signal that is known as passed on: its `si_code` is `SENT_ON`. See sigqueue(3)."""
    if _libc.sigqueue(process, number, ctypes.c_void_p(0)) != 0:
        raise _last_error()


def receive_only() -> None:
    """Let mounts of the host appear here, and none of here appear there."""
    _mount(None, b"/", None, _MS_REC | _MS_SLAVE)


def mount_proc() -> None:
    """Show the processes of this namespace at /proc."""
    _mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def be_refused() -> None:
    """Try what Landlock refuses whatever its rules: a change of mounts, and one without effect.

    The kernel's audit names the rules of a process with the first refusal.
    """
    try:  # noqa: SIM105  contextlib takes time to load
        _mount(None, b"/", None, _MS_SLAVE)
    except OSError:
        pass


def clone_tree(source: int) -> int:
    """Return a descriptor of a detached copy of the mounts at and below an open path."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE
    return call(_OPEN_TREE, source, b"", flags)


def make_read_only(tree: int) -> None:
    """Make every mount of a detached tree read-only and private, without setuid and devices."""
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY | _NOSUID | _NODEV, 0, _MS_PRIVATE, 0)
    size = ctypes.sizeof(attributes)
    call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attributes, size)


def attach(tree: int, target: int) -> None:
    """Make a detached tree visible at an open path."""
    call(_MOVE_MOUNT, tree, b"", target, b"", _MOVE_BOTH_EMPTY)


def drop_capabilities(lost: tuple[int, ...]) -> list[int]:
    """Give up capabilities for good: no program that is executed later can have them again.

    Returns those that this process had; a kernel that does not know one is no obstacle.
    """
    prctl(_AMBIENT, _AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * (2 * _CAPABILITY_SETS))()
    if _libc.capget(header, sets) != 0:
        raise _last_error()
    had = [
        number
        for number in lost
        if sets[number // _BITS * _CAPABILITY_SETS + 1] >> number % _BITS & 1
    ]
    if sets[0] >> _SETPCAP & 1:
        for number in lost:
            _libc.prctl(_BOUNDING_DROP, ctypes.c_ulong(number), 0, 0, 0)
    for number in lost:
        for which in range(_CAPABILITY_SETS):
            sets[number // _BITS * _CAPABILITY_SETS + which] &= ~(1 << number % _BITS)
    if _libc.capset(header, sets) != 0:
        raise _last_error()
    return had


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int) -> None:
    if _libc.mount(source, target, kind, ctypes.c_ulong(flags), None) != 0:
        raise _last_error()


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
