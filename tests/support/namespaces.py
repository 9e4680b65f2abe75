"""A host of its own for one command: another `/etc/dataguard`, another user.

To be called in the new process of a command, see `Shell.entry`; everything ends with it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import dataguard

__all__ = ["become", "enter_host", "why_no_namespaces"]

_CLONE_NEWNS = 0x00020000  # sched.h, sys/mount.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000


@cache
def why_no_namespaces() -> str:
    """Return why a command cannot have mounts of its own here; empty where it can."""
    if os.geteuid() != 0:
        return "mounts of its own need root"
    with tempfile.TemporaryDirectory() as upper:
        trial = f"mount -t overlay overlay -o lowerdir={upper}:/etc /etc"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", trial], check=False, capture_output=True
        )
    return "" if done.returncode == 0 else "no mount namespace with an overlay can be had here"


def enter_host(directory: str) -> None:
    """Let `directory` lie over `/etc`, so that its `dataguard` is the host's configuration."""
    _unshare()
    _mount("overlay", "/etc", "overlay", 0, f"lowerdir={directory}:/etc")


def become(uid: int, *reachable: str, groups: tuple[int, ...] = ()) -> None:
    """Become an ordinary user who can reach the interpreter and the given places."""
    _unshare()
    package = os.path.dirname(os.path.dirname(dataguard.__file__))
    _open_ways([sys.base_prefix, sys.prefix, package, *reachable])
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _open_ways(places: list[str]) -> None:
    """Put an open directory in the place of each that keeps others out, with the way in it."""
    held = [(place, os.open(place, os.O_PATH)) for place in dict.fromkeys(places)]
    closed = sorted({found for place in places if (found := _closed(place))})
    for directory in closed:
        if not any(directory.startswith(f"{other}/") for other in closed):
            _mount("tmpfs", directory, "tmpfs", 0, "mode=755")
    for place, descriptor in held:
        if not os.path.samestat(os.fstat(descriptor), _status(place)):
            os.makedirs(place, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", place, "", _MS_BIND | _MS_REC)
        os.close(descriptor)


def _closed(place: str) -> str:
    """Return the highest directory on the way that others may not pass; empty where all may.

    pytest closes its directory of all sessions whenever one begins, also while it is open here.
    """
    ways = [str(way) for way in Path(place).parents][::-1]
    return next((way for way in ways if "pytest-of-" in way or not _is_open(way)), "")


def _is_open(way: str) -> bool:
    return bool(os.stat(way).st_mode & 0o001)


def _status(place: str) -> os.stat_result:
    try:
        return os.stat(place)
    except FileNotFoundError:
        return os.stat("/")


def _unshare() -> None:
    _check(_libc().unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    done = _libc().mount(*words, ctypes.c_ulong(flags), os.fsencode(options) or None)
    _check(done, f"mount {source} at {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
