"""The rules of Landlock, by its system calls; see landlock_create_ruleset(2)."""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from dataguard.sandbox.shim import kernel

__all__ = ["WITH_LOG", "Ruleset", "version"]

WITH_LOG = 7
"""The first version that tells the kernel's audit of refusals."""

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_WRITE_FILE, _TRUNCATE, _REFER = 1 << 1, 1 << 14, 1 << 13
_REMOVE = 1 << 4 | 1 << 5
_MAKE_DEVICES = 1 << 6 | 1 << 11
_MAKE_OTHERS = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12
_WITH_REFER, _WITH_TRUNCATE = 2, 3
_LOG_NEW_EXEC_ON = 1 << 1
_NO_NEW_PRIVILEGES = 38


def version() -> int:
    """Return the version of Landlock that this kernel has."""
    return kernel.call(_CREATE, None, 0, _VERSION_FLAG)


class Ruleset:
    """The rules of one process tree, before they are in force."""

    def __init__(self) -> None:
        self.version = version()
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
        # Without this the kernel logs refusals to this program alone, not to the job it executes.
        log = _LOG_NEW_EXEC_ON if self.version >= WITH_LOG else 0
        kernel.call(_RESTRICT, self._descriptor, log)
        os.close(self._descriptor)
        lacking = f"Landlock {self.version}"
        if self.version < _WITH_REFER:
            lacking += "; files cannot be renamed or linked into another directory"
        if self.version < _WITH_TRUNCATE:
            lacking += "; it does not see truncate(2)"
        return lacking
