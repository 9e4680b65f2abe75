"""Taking away every mount that a test left below its temporary directory."""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import subprocess
from contextlib import contextmanager

import pytest

from dataguard.mounts import mountinfo
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.fuse import FuseBackend

__all__ = [
    "as_user",
    "fingerprint",
    "in_child",
    "mount_command",
    "mounts_below",
    "needs_fuse",
    "needs_mounts",
    "swept",
    "unmount_command",
]

needs_fuse = pytest.mark.skipif(
    FuseBackend("").unavailable() is not None, reason=f"fuse: {FuseBackend('').unavailable()}"
)
needs_mounts = pytest.mark.skipif(
    BindBackend().unavailable() is not None, reason="needs CAP_SYS_ADMIN and Linux 5.12"
)


def mounts_below(top):
    table = mountinfo.read()
    return [point.target for point in (*table.at(str(top)), *table.below(str(top)))]


def mount_command(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def unmount_command(target):
    subprocess.run(["umount", "--lazy", str(target)], check=True)


@contextmanager
def swept(top):
    """Detach all mounts below a directory at the end, deepest and newest first."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        yield top
    finally:
        for target in sorted(mounts_below(top), key=len, reverse=True):
            libc.umount2(os.fsencode(target), 2 | 8)


def fingerprint(top):
    """Names, contents and everything stat tells, access times included, read without a trace."""
    digest = hashlib.sha256()
    pending = [os.fspath(top)]
    while pending:
        path = pending.pop()
        seen = os.lstat(path)
        times = (seen.st_atime_ns, seen.st_mtime_ns, seen.st_ctime_ns)
        facts = (path, seen.st_mode, seen.st_ino, seen.st_nlink, seen.st_uid, seen.st_size)
        digest.update(repr((facts, times)).encode())
        if stat.S_ISDIR(seen.st_mode):
            pending += [os.path.join(path, name) for name in _quietly(path, os.listdir)]
        elif stat.S_ISREG(seen.st_mode):
            digest.update(_quietly(path, lambda file: os.read(file, 1 << 20)))
    return digest.hexdigest()


def _quietly(path, read):
    descriptor = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        found = read(descriptor)
    finally:
        os.close(descriptor)
    return sorted(found) if isinstance(found, list) else found


def as_user(act, *, uid=12345):
    """Run `act` in a child that is an ordinary user; return what it printed into the pipe."""

    def lowered():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return act()

    return in_child(lowered)


def in_child(act):
    """Run `act` in a child; return its answer as text, or its error's class and message."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "no answer"
        try:
            answer = str(act())
        except BaseException as err:  # noqa: BLE001 - a child must never return into pytest
            answer = f"{type(err).__name__}: {err}"
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(child, 0)
    return answer
