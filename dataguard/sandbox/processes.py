"""Who and what runs: the account and the process, as the kernel tells."""

from __future__ import annotations

import os
import pwd

from dataguard.model.actor import Actor, Process

__all__ = ["boot_id", "current_actor", "current_process", "is_alive", "start_time"]

_UNSET_LOGIN = 0xFFFF_FFFF
_START_TIME = 19
_DEAD = ("Z", "X")


def current_actor() -> Actor:
    """Return the account of this process."""
    uid = os.getuid()
    return Actor(_user_name(uid), uid, os.uname().nodename, _login_uid())


def current_process() -> Process:
    """Return this process, told apart from a later one with its pid."""
    pid = os.getpid()
    started = start_time(pid) or 0
    return Process(os.uname().nodename, boot_id(), pid, started, _pid_namespace())


def is_alive(process: Process) -> bool | None:
    """Whether a process still runs; None where that cannot be known from here.

    That is on another host, in another pid namespace (a container), where proc hides the
    processes of other users, or did not tell this one what tells it from a later one.
    """
    here = boot_id()
    if process.host != os.uname().nodename or not (here and process.boot_id):
        return None
    if process.boot_id != here:
        return False
    if not process.started or process.namespace != _pid_namespace():
        return None
    fields = _fields(process.pid)
    if fields:  # a zombie does nothing more, however long its parent leaves it
        return int(fields[_START_TIME]) == process.started and fields[0] not in _DEAD
    return None if _exists(process.pid) else False


def boot_id() -> str:
    """Return the id of this boot, or an empty text where the kernel does not tell."""
    return _first_line("/proc/sys/kernel/random/boot_id")


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc(5), stat, field 22)."""
    fields = _fields(pid)
    return int(fields[_START_TIME]) if fields else None


def _fields(pid: int) -> list[str]:
    """Return what the kernel tells of a process from its state on; empty where it does not."""
    line = _first_line(f"/proc/{pid}/stat")
    # The command in parentheses may hold spaces and parentheses of its own.
    return line.rpartition(")")[2].split()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pid_namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _login_uid() -> int | None:
    text = _first_line("/proc/self/loginuid")
    return int(text) if text.isdigit() and int(text) != _UNSET_LOGIN else None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
