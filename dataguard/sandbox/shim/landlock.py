"""Landlock: from here on this process and its children write only beneath what is granted.

Rules only ever allow, and hold for a directory with all that lies below it. Only rights to write
are handled; reading, and ioctl on devices (GPUs need it), stay as they are. Chmod, chown, times
and extended attributes are no rights of Landlock: against those the read-only mounts stand. See
landlock(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

from dataguard.sandbox.shim import kernel, writable

__all__ = ["Ruleset", "explain", "restrict"]

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_WRITE_FILE, _TRUNCATE, _REFER = 1 << 1, 1 << 14, 1 << 13
_REMOVE = 1 << 4 | 1 << 5
_MAKE_DEVICES = 1 << 6 | 1 << 11
_MAKE_OTHERS = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12
_WITH_REFER, _WITH_TRUNCATE = 2, 3
_NO_NEW_PRIVILEGES = 38
_ABSENT = {
    errno.ENOSYS: "this kernel has no Landlock (Linux 5.13 or newer)",
    errno.EOPNOTSUPP: "Landlock is not switched on (lsm=... at boot)",
    errno.E2BIG: "16 layers of Landlock are in use already: too many runs within runs",
}


def restrict(mode: bytes, marks: list[list[bytes]], places: list[bytes]) -> str:
    """Confine this process; returns what holds now, in words.

    `protect` leaves all writable but gold, `strict` nothing but `places`.

    Raises:
        OSError: Landlock cannot be had; `explain` has words for it.
    """
    rules = Ruleset()
    said = writable.grant_only(rules, places, marks)
    if mode == b"protect":
        said = writable.grant_all_but(rules, marks)
    return f"{said}; {rules.enforce()}"


def explain(err: OSError) -> str:
    """Return why Landlock cannot be had, in words."""
    return _ABSENT.get(err.errno or 0, f"Landlock is refused: {err.strerror}")


class Ruleset:
    """The rules of one process tree, before they are in force."""

    def __init__(self) -> None:
        self.version = kernel.call(_CREATE, None, 0, _VERSION_FLAG)
        later = _REFER if self.version >= _WITH_REFER else 0
        later |= _TRUNCATE if self.version >= _WITH_TRUNCATE else 0
        self._granted = _WRITE_FILE | _REMOVE | _MAKE_OTHERS | later
        attributes = struct.pack("Q", self._granted | _MAKE_DEVICES)
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        self._descriptor = kernel.call(_CREATE, buffer, len(attributes), 0)

    def grant(self, descriptor: int, mode: int) -> None:
        """Allow writing at and below what is open; nothing new may be a device."""
        rights = self._granted
        if not stat.S_ISDIR(mode):
            rights &= _WRITE_FILE | _TRUNCATE
        rule = struct.pack("=Qi", rights, descriptor)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        kernel.call(_ADD_RULE, self._descriptor, _PATH_BENEATH, buffer, 0)

    def enforce(self) -> str:
        """Put the rules in force for this process for good; returns what this version lacks."""
        kernel.prctl(_NO_NEW_PRIVILEGES, 1)
        kernel.call(_RESTRICT, self._descriptor, 0)
        os.close(self._descriptor)
        lacking = f"Landlock {self.version}"
        if self.version < _WITH_REFER:
            lacking += "; files cannot be renamed or linked into another directory"
        if self.version < _WITH_TRUNCATE:
            lacking += "; it does not see truncate(2)"
        return lacking
