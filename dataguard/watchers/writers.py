"""The process behind an event, asked while it is still there."""

from __future__ import annotations

import fcntl
import os
import signal
import struct

from dataguard.model.watch import Writer
from dataguard.watchers.fanotifycalls import open_handle

__all__ = ["Attribution", "writer_of"]

_GET_INFO = 0xC040_FF0B  # linux/pidfd.h since 6.13: PIDFD_GET_INFO with 64 bytes
_INFO = struct.Struct("=QQ12I")
_WANT_PID, _WANT_CREDENTIALS, _WANT_CGROUP = 0x1, 0x2, 0x4
_RUID = 3
_START_TIME = 19
_COMMAND_BYTES = 4096


class Attribution:
    """Writers of one batch of events, each process asked once.

    The kernel made all descriptors of a batch at one moment: two that are valid and have the same
    number are the same process.
    """

    def __init__(self) -> None:
        self._known: dict[int, Writer] = {}

    def of(self, pid: int, pidfd: int) -> Writer | None:
        """Return the process of an event; its number alone where it was gone before that was read.

        None where it has no number here: it is in another namespace.
        """
        if pidfd < 0:
            return Writer(number=pid) if pid > 0 else None
        found = self._known.get(pid)
        if found is None:
            found = self._known[pid] = writer_of(pid, pidfd)
        return found


def writer_of(pid: int, pidfd: int) -> Writer:
    """Return what can be known of the process that a descriptor holds.

    /proc is read by number. Only if the process still has its number after that was it the one
    that was read about; else the kernel's own answer is all there is.
    """
    seen = _from_proc(pid)
    if seen is not None and _has_its_number(pidfd):
        return seen
    return _from_kernel(pid, pidfd)


def _from_proc(pid: int) -> Writer | None:
    try:
        stat = _content(f"/proc/{pid}/stat", 1024)
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    # the program's name in parentheses may hold spaces and parentheses of its own
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= _START_TIME:
        return None
    return Writer(
        pid=pid,
        number=pid,
        start_time=int(fields[_START_TIME]),
        uid=_real_user(pid, uid),
        executable=_executable(pid),
        command=_command(pid),
        cgroup=_cgroup(pid),
    )


def _from_kernel(pid: int, pidfd: int) -> Writer:
    """Ask about a process that may have ended; its cgroup outlives it in the descriptor."""
    request = bytearray(_INFO.size)
    struct.pack_into("=Q", request, 0, _WANT_PID | _WANT_CREDENTIALS | _WANT_CGROUP)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, request)
    except OSError:  # an older kernel, or a process that was waited for before the event was read
        return Writer(pid=pid, number=pid)
    told, cgroup, *rest = _INFO.unpack(request)
    return Writer(
        pid=pid,
        number=pid,
        uid=rest[_RUID] if told & _WANT_CREDENTIALS else None,
        cgroup=_cgroup_path(cgroup) if told & _WANT_CGROUP else "",
    )


def _has_its_number(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _real_user(pid: int, otherwise: int) -> int:
    """Return the real user; the owner of /proc/PID is root for programs that may not be dumped."""
    try:
        for line in _content(f"/proc/{pid}/status", 2048).splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return otherwise


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _command(pid: int) -> tuple[str, ...]:
    try:
        text = _content(f"/proc/{pid}/cmdline", _COMMAND_BYTES)
    except OSError:
        return ()
    return (
        tuple(os.fsdecode(word) for word in text.removesuffix(b"\0").split(b"\0")) if text else ()
    )


def _cgroup(pid: int) -> str:
    """Return the path in the unified hierarchy, else the longest one of the old ones."""
    try:
        lines = _content(f"/proc/{pid}/cgroup", _COMMAND_BYTES).splitlines()
    except OSError:
        return ""
    paths = [os.fsdecode(line.split(b":", 2)[2]) for line in lines if line.count(b":") > 1]
    return max(paths, key=len, default="")


def _cgroup_path(number: int, top: str = "/sys/fs/cgroup") -> str:
    """Return the path of a cgroup from its id, which is the inode of its directory."""
    try:
        mount = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        found = open_handle(mount, _KERNFS.pack(8, 0xFE, number), os.O_PATH)
        try:
            return os.readlink(f"/proc/self/fd/{found}").removeprefix(top) or "/"
        finally:
            os.close(found)
    except OSError:  # no unified hierarchy here, or the cgroup is gone
        return ""
    finally:
        os.close(mount)


_KERNFS = struct.Struct("=IiQ")


def _content(path: str, most: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)
