"""Hosts that lack a system call, played by a filter on this process and its children."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

__all__ = ["LANDLOCK", "NAMESPACES", "NEW_MOUNTS", "refuse"]

_NUMBERS = {"x86_64": 272, "aarch64": 97}
NAMESPACES = (_NUMBERS.get(os.uname().machine, 272),)
"""unshare(2)"""

NEW_MOUNTS = (428, 429, 442)
"""open_tree(2), move_mount(2), mount_setattr(2)"""

LANDLOCK = (444, 445, 446)
"""landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2)"""

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def refuse(numbers: tuple[int, ...], code: int = errno.ENOSYS) -> None:
    """Let these system calls fail from now on, as on a kernel or host without them."""
    steps = [(_LOAD, 0, 0, 0)]
    steps += [(_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | code)]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(header, len(header)), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
