"""Who does something, as the kernel says."""

from __future__ import annotations

from dataguard.model.dataclass import dataclass

__all__ = ["Actor", "Process"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The account a command runs as: from the kernel, never from an argument.

    `login_uid` is the audit login id, which stays the same through `sudo`; None where unset.
    """

    user: str
    uid: int
    host: str
    login_uid: int | None = None


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can be told from a later one with the same pid.

    `started` is the start time in clock ticks since boot (proc(5), stat field 22), `namespace`
    the inode of the pid namespace in which `pid` means something (0: not known).
    """

    host: str
    boot_id: str
    pid: int
    started: int
    namespace: int = 0
