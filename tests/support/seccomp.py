"""A kernel that lacks some system calls, simulated for the rest of a process."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

__all__ = ["MOUNT_CALLS", "forbid"]

MOUNT_CALLS = {"open_tree": 428, "move_mount": 429, "mount_setattr": 442}
"""Calls of Linux 5.2 and 5.12, under the numbers they have everywhere."""

_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid(*numbers: int, code: int = errno.ENOSYS) -> None:
    """Let system calls of these numbers fail with `code` in this process and its children.

    It can't be taken back: call it in a child. The filter does not look at the architecture, so
    it is good for processes of the native one only, see seccomp(2).
    """
    assert platform.machine() in {"x86_64", "aarch64"}
    steps = [_step(_LOAD, 0)]
    for number in numbers:
        steps += [_step(_EQUAL, number, skip_if_not=1), _step(_RETURN, _ERRNO | code)]
    steps.append(_step(_RETURN, _ALLOW))
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps), b"".join(steps))
    done = libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = done or libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
    if done != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _step(operation: int, value: int, *, skip_if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, 0, skip_if_not, value)
