"""How urgent the reading of this process and its workers is to the kernel."""

from __future__ import annotations

import ctypes
import os

from dataguard.errors import DataguardError

__all__ = ["read_when_idle"]

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
_PROCESS, _THIS = 1, 0
_IDLE_CLASS = 3 << 13  # linux/ioprio.h


def read_when_idle() -> None:
    """Have the disk serve this process, and those it starts, when nobody else asks (ionice -c3).

    Schedulers of disks that know no classes, such as `none`, make no difference.

    Raises:
        DataguardError: the kernel refuses, or dataguard does not know this machine's call.
    """
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise DataguardError(f"no --idle on {os.uname().machine}", hint="ionice -c3 dataguard ...")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _PROCESS, _THIS, _IDLE_CLASS) != 0:
        raise DataguardError(f"cannot read when idle only: {os.strerror(ctypes.get_errno())}")
