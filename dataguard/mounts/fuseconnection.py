"""Mounting a FUSE connection on a directory: by system call for root, by fusermount3 for users."""

from __future__ import annotations

import array
import os
import shutil
import socket
import subprocess

from dataguard.model.mountpoint import SERVED
from dataguard.mounts import points, privilege, syscalls

__all__ = ["connect", "detach", "explain_missing"]

_DEVICE = "/dev/fuse"
_TOOL = "fusermount3"
_SUBTYPE = SERVED.removeprefix("fuse.")
_ROOT_MODE = "40000"
_WRITABLE = 0o755


def explain_missing() -> str | None:
    """Return why this process cannot mount a FUSE connection, or None where it can."""
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as err:
        return f"cannot open {_DEVICE}: {err.strerror}"
    if not privilege.may_mount() and shutil.which(_TOOL) is None:
        return f"{_TOOL} is not installed, and {privilege.explain_missing()}"
    return None


def connect(point: int, target: str, label: str) -> int:
    """Mount on an open directory whose path is `target`; returns the connection to serve.

    The mount goes dead with the last copy of the descriptor. It is not marked read-only: then the
    kernel would refuse writes itself, and the server never hear of them. A mount by root is for
    everybody, so there the kernel checks permissions, and the server hears of what they allow.

    Raises:
        OSError: it cannot be mounted.
    """
    if privilege.may_mount():
        return _connect_by_call(point, label)
    # the tool mounts for users only where they may write, so that nobody hides what is another's
    os.chmod(f"/proc/self/fd/{point}", _WRITABLE)
    return _connect_by_tool(target, label)


def detach(target: str) -> None:
    """Take the topmost mount at a path away, also while it is in use; links are not followed.

    Raises:
        OSError: it cannot be taken away.
    """
    if privilege.may_mount():
        parent, name = os.path.split(target)
        with points.held(parent) as at:
            syscalls.detach(at, name)
        return
    _run([_TOOL, "-u", "-z", "--", target])


def _connect_by_call(point: int, label: str) -> int:
    connection = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={connection},rootmode={_ROOT_MODE},user_id={os.geteuid()}"
    options += f",group_id={os.getegid()},default_permissions,allow_other"
    try:
        syscalls.mount_new(label, point, SERVED, options)
    except OSError:
        os.close(connection)
        raise
    return connection


def _connect_by_tool(target: str, label: str) -> int:
    """See fusermount3(1): the tool opens the device and hands it over a socket."""
    ours, its = socket.socketpair()
    with ours, its:
        # no default_permissions: only this user gets in, and the server opens with his rights
        options = f"fsname={label},subtype={_SUBTYPE},nosuid,nodev"
        environment = {**os.environ, "_FUSE_COMMFD": str(its.fileno())}
        _run([_TOOL, "-o", options, "--", target], handed=its.fileno(), environment=environment)
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(array.array("i", [0]).itemsize))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data)
    if not descriptors:
        raise OSError(0, f"{_TOOL} handed no connection over")
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]


def _run(
    words: list[str], *, handed: int | None = None, environment: dict[str, str] | None = None
) -> None:
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        pass_fds=() if handed is None else (handed,),
        env=environment,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError(done.returncode, said or f"{_TOOL} failed")
