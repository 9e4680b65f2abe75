"""Mounts that a process of ours serves: for users too, and whoever tries to write is named."""

from __future__ import annotations

import ctypes.util
import hashlib
import importlib.util
import os
import select
import shutil
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, DataguardError, StoreUnreachableError
from dataguard.model.mount import Backend, Guarantee
from dataguard.model.mountpoint import SERVED, Made, TargetKind, served_as
from dataguard.model.served import identity_of, is_served
from dataguard.mounts import attempts, fuseconnection, points
from dataguard.mounts.view import look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.attempt import Attempt
    from dataguard.model.mount import MountRecord

__all__ = ["FuseBackend"]

_GRACE_MS = 5000
_ATTEMPTS, _FAULTS = "attempts.jsonl", "faults.jsonl"
_NOTES = ((_ATTEMPTS, 0o600), (_FAULTS, 0o644))
"""What servers note, and who may read it: who tried to write is told to nobody else, what could not
be given to whoever's jobs rely on the mount."""

_LOG, _PID = "server.log", "server.pid"
_DIRECTORIES = "dataguard.mounts.fuseserver"
_OBJECTS = "dataguard.actions.servedobjects"
"""A program of its own, which may therefore use all that stands above the mounts."""
_FIRST = 3
"""The first descriptor that a server is handed."""


class FuseBackend:
    """Mount a FUSE connection and start a server for it that outlives the command.

    `state` is a directory for what the servers leave: for each target the attempts, the faults,
    the log and the process id. The mount carries the identity of its source in its name, which
    mountinfo shows, so that it is known again whoever serves it.
    """

    name = Backend.FUSE
    guarantee = Guarantee.ENFORCED

    def __init__(self, state: str) -> None:
        self._state = state

    def unavailable(self) -> str | None:
        """Return what is missing: the extra, the library, the device or the mount tool."""
        if importlib.util.find_spec("mfusepy") is None:
            return "mfusepy is not installed: pip install 'dataguard[fuse]'"
        if ctypes.util.find_library("fuse3") is None:
            return "libfuse 3 is not installed"
        return fuseconnection.explain_missing()

    def make(self, source: str, target: str) -> Made:
        """Mount, start the server, and wait until it answers.

        `source` is a directory, or the description of a version whose objects are to be fetched.

        Raises:
            ConflictError: the target is in use, or the kernel or the server refuses.
            DataguardError: the state directory cannot be written.
            StoreUnreachableError: the source is not there.
        """
        points.make_point(target)
        place = self._prepared(target)
        with _opened(source) as shown, points.opened_target(target) as point:
            identity = _identity(source, shown)
            label = served_as(*identity)
            try:
                connection = fuseconnection.connect(point, target, label)
            except OSError as err:
                raise ConflictError(
                    f"cannot mount {source} at {target}: {err.strerror}", hint="dataguard doctor"
                ) from err
            try:
                _start(place, shown, connection, _OBJECTS if is_served(source) else _DIRECTORIES)
            except OSError as err:
                with suppress(OSError):
                    fuseconnection.detach(target)
                raise DataguardError(
                    f"cannot start the server of {target}: {err.strerror}", hint=f"ls -l {place}"
                ) from err
            finally:
                os.close(connection)  # a server that dies must take the connection with it
        _wait_for_answer(target, place)
        stack = look(target).stack
        return Made(*identity, stack[-1].mount_id if stack else None)

    def undo(self, record: MountRecord) -> None:
        """Unmount, dead or alive, and wait a little for the server to end; the attempts stay.

        Raises:
            ConflictError: a foreign mount is there, or the kernel refuses.
        """
        label = served_as(record.root_device, record.root_inode)
        while stack := look(record.target).stack:
            if (stack[-1].filesystem, stack[-1].source) != (SERVED, label):
                raise ConflictError(
                    f"something else is mounted at {record.target}",
                    hint=f"findmnt {record.target}",
                )
            try:
                fuseconnection.detach(record.target)
            except OSError as err:
                raise ConflictError(
                    f"cannot unmount {record.target}: {err.strerror}",
                    hint="unmount as the user who mounted it, or as root",
                ) from err
        _await_end(os.path.join(self._place(record.target), _PID))

    def attempts_file(self, target: str) -> str:
        """Return where refused writes at a target are noted."""
        return os.path.join(self._place(target), _ATTEMPTS)

    def attempts(self, target: str) -> tuple[Attempt, ...]:
        """Return the refused writes that were noted at a target.

        Raises:
            DataguardError: they cannot be read.
        """
        return attempts.read(self.attempts_file(target))

    def take_attempts(self, target: str) -> tuple[Attempt, ...]:
        """Return the refused writes at a target that were not taken yet, and take them.

        Raises:
            DataguardError: they cannot be read.
        """
        return attempts.take(self.attempts_file(target))

    def faults_file(self, target: str) -> str:
        """Return where it is noted what could not be given through the mount at a target."""
        return os.path.join(self._place(target), _FAULTS)

    def forget(self, target: str) -> None:
        """Remove what the server left."""
        shutil.rmtree(self._place(target), ignore_errors=True)

    def _place(self, target: str) -> str:
        name = hashlib.sha256(os.fsencode(target)).hexdigest()[:24]
        return os.path.join(self._state, "fuse", name)

    def _prepared(self, target: str) -> str:
        place = self._place(target)
        try:
            # Whoever's jobs read the mount may open what could not be given, and nothing else.
            os.makedirs(place, mode=0o711, exist_ok=True)
        except OSError as err:
            raise DataguardError(f"cannot create {place}: {err.strerror}") from err
        return place


@contextmanager
def _opened(source: str) -> Iterator[int]:
    """Hold what a server is to show."""
    if not is_served(source):
        with points.opened_source(source) as directory:
            yield directory
        return
    try:
        description = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        raise StoreUnreachableError(f"cannot open {source}: {err.strerror}") from err
    try:
        yield description
    finally:
        os.close(description)


def _identity(source: str, shown: int) -> tuple[int, int]:
    if is_served(source):
        return identity_of(source)
    seen = os.fstat(shown)
    return seen.st_dev, seen.st_ino


def _start(place: str, shown: int, connection: int, program: str) -> None:
    """Start a server in a session of its own, so that no terminal or job takes it along."""
    log = os.path.join(place, _LOG)
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [(os.path.join(place, name), mode) for name, mode in _NOTES]
    handed = range(_FIRST, _FIRST + 2 + len(files))
    again = os.open(f"/proc/self/fd/{shown}", os.O_RDONLY | os.O_CLOEXEC)
    aside = max(again, connection, handed[-1]) + 1  # out of the way of the numbers they will have
    try:
        pid = os.posix_spawn(
            sys.executable,
            # -P: nothing is imported from wherever the command was started
            [sys.executable, "-P", "-m", program, *map(str, handed)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, again, aside),
                (os.POSIX_SPAWN_DUP2, connection, aside + 1),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, appending, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, aside, handed[0]),
                (os.POSIX_SPAWN_DUP2, aside + 1, handed[1]),
                *(
                    (os.POSIX_SPAWN_OPEN, number, file, appending, mode)
                    for number, (file, mode) in zip(handed[2:], files, strict=True)
                ),
                (os.POSIX_SPAWN_CLOSE, aside),
                (os.POSIX_SPAWN_CLOSE, aside + 1),
            ],
            setsid=True,
        )
    finally:
        os.close(again)
    with open(os.path.join(place, _PID), "w", encoding="ascii") as stream:
        stream.write(f"{pid} {_started(pid)}\n")


def _wait_for_answer(target: str, place: str) -> None:
    """Ask through the mount; a server that cannot serve has ended, and the kernel says so."""
    if look(target).kind is not TargetKind.BROKEN:
        return
    with suppress(OSError):
        fuseconnection.detach(target)
    raise ConflictError(
        f"the server of {target} ended: {_last_words(os.path.join(place, _LOG))}",
        hint="pip install 'dataguard[fuse]', and libfuse 3",
    )


def _last_words(log: str) -> str:
    with suppress(OSError), open(log, encoding="utf-8", errors="replace") as stream:
        lines = stream.read().strip().splitlines()
        if lines:
            return lines[-1]
    return "it said nothing"


def _await_end(path: str) -> None:
    """Wait for a server whose mount is gone; one with files open goes on until they are closed."""
    with suppress(OSError, ValueError):  # no such file, or no such process: it has ended
        with open(path, encoding="ascii") as stream:
            pid, started = stream.read().split()
        server = os.pidfd_open(int(pid))
        try:
            if _started(int(pid)) == started:
                poll = select.poll()
                poll.register(server, select.POLLIN)
                poll.poll(_GRACE_MS)
        finally:
            os.close(server)
        os.waitpid(int(pid), os.WNOHANG)  # where it is our own child


def _started(pid: int) -> str:
    """Return when a process started, in ticks since boot, by which it is told from a later one."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rsplit(b")", 1)[1].split()[19].decode("ascii")
    except (OSError, IndexError):
        return "-"
