"""Attempts to write through a mount that are harmless where the mount lets them pass.

What is only looked at comes first, then attempts that change nothing even where they are allowed
(opening without writing, taking away names that do not exist), and those that would leave a trace
only when everything before was refused.
"""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Backend, Probe, ProbeOutcome, ProbeStep
from dataguard.model.mountpoint import SERVED, TargetKind
from dataguard.mounts.view import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.model.mountpoint import TargetView

__all__ = ["OPERATIONS", "probe", "probe_place", "skipped"]

_LOOKED_AT = 4096
_REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM)
_SERVER_REFUSES = "not marked read-only: the server sees each attempt, and refuses it"
_NO_FILE = "no regular file found to try it on"


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where the attempts are made; `file` is an existing regular file, or None."""

    target: str
    fresh: str
    other: str
    file: str | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One operation; `undo` takes back what it leaves where it is allowed after all."""

    operation: str
    act: Callable[[_Bench], None]
    undo: Callable[[_Bench], None] | None = None
    needs_file: bool = False


def probe(target: str, backend: Backend) -> Probe:
    """Try to write through a mount and return what came of each attempt.

    Only what promises to refuse is tried: behind a link lies the source itself, and a declared
    mount shows nothing yet. Nothing changes on a writable mount, access times included.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    if backend is Backend.SYMLINK:
        return skipped("a link leads to the source itself; never tried")
    if backend is Backend.DECLARED:
        return skipped("nothing is mounted; tried where a job mounts it")
    steps = [_mountinfo_step(target, backend), _statvfs_step(target, backend)]
    bench = _bench(target, quiet=not _all_refused(steps))
    steps += [_for_server(_try(attempt, bench), backend) for attempt in _HARMLESS]
    for attempt in _TRACES:
        # each one again: an attempt that passed must be the last
        steps.append(_try(attempt, bench) if _all_refused(steps) else _not_made(attempt))
    return Probe(tuple(steps))


def probe_place(place: str) -> Probe:
    """Try to write below a directory, whatever keeps this process from it, and return the attempts.

    Permissions, seals and read-only mounts all do; what passes is taken back, as through mounts.
    """
    bench = _bench(place, quiet=False)
    # A name that is missing is looked for before permissions are: that proves nothing here.
    steps = [_without_names(_try(attempt, bench)) for attempt in _HARMLESS]
    for attempt in _TRACES:
        steps.append(_try(attempt, bench) if _none_allowed(steps) else _not_made(attempt))
    return Probe(tuple(steps))


def skipped(reason: str) -> Probe:
    """Return a probe in which nothing was tried."""
    return Probe(tuple(ProbeStep(name, ProbeOutcome.SKIPPED, reason) for name in OPERATIONS))


def _mountinfo_step(target: str, backend: Backend) -> ProbeStep:
    view = look(target)
    if backend is Backend.FUSE:
        return _server_step(view)
    mounted = bool(view.stack) or backend is Backend.CONTAINER
    if view.through is None or not mounted:
        return ProbeStep("mountinfo", ProbeOutcome.FAILED, "nothing is mounted")
    shown = (view.through, *view.below)
    writable = [point.target for point in shown if not point.read_only]
    if writable:
        return ProbeStep("mountinfo", ProbeOutcome.ALLOWED, f"writable: {writable[0]}")
    return ProbeStep("mountinfo", ProbeOutcome.REFUSED, f"ro: {len(shown)} of {len(shown)} mounts")


def _server_step(view: TargetView) -> ProbeStep:
    if not view.stack or view.stack[-1].filesystem != SERVED or view.kind is TargetKind.BROKEN:
        return ProbeStep("mountinfo", ProbeOutcome.FAILED, "no server answers there")
    writable = [point.target for point in view.below if not point.read_only]
    if writable:
        return ProbeStep("mountinfo", ProbeOutcome.ALLOWED, f"writable: {writable[0]}")
    return ProbeStep("mountinfo", ProbeOutcome.SKIPPED, _SERVER_REFUSES)


def _statvfs_step(target: str, backend: Backend) -> ProbeStep:
    if backend is Backend.FUSE:
        return ProbeStep("statvfs", ProbeOutcome.SKIPPED, _SERVER_REFUSES)
    try:
        flags = os.statvfs(target).f_flag
    except OSError as err:
        return ProbeStep("statvfs", ProbeOutcome.FAILED, _named(err))
    if flags & os.ST_RDONLY:
        return ProbeStep("statvfs", ProbeOutcome.REFUSED, "ST_RDONLY")
    return ProbeStep("statvfs", ProbeOutcome.ALLOWED, "no ST_RDONLY")


def _all_refused(steps: list[ProbeStep]) -> bool:
    return Probe(tuple(steps)).proves_read_only


def _none_allowed(steps: list[ProbeStep]) -> bool:
    return all(step.result is not ProbeOutcome.ALLOWED for step in steps)


def _not_made(attempt: _Attempt) -> ProbeStep:
    return ProbeStep(
        attempt.operation, ProbeOutcome.SKIPPED, "would leave a trace: not all before was refused"
    )


def _try(attempt: _Attempt, bench: _Bench) -> ProbeStep:
    if attempt.needs_file and bench.file is None:
        return ProbeStep(attempt.operation, ProbeOutcome.SKIPPED, _NO_FILE)
    try:
        attempt.act(bench)
    except OSError as err:
        return ProbeStep(attempt.operation, _meaning(err), _named(err))
    return ProbeStep(attempt.operation, ProbeOutcome.ALLOWED, _taken_back(attempt, bench))


def _for_server(step: ProbeStep, backend: Backend) -> ProbeStep:
    """A server is not asked about names that it does not have, so these attempts prove nothing."""
    return _without_names(step) if backend is Backend.FUSE else step


def _without_names(step: ProbeStep) -> ProbeStep:
    return replace(step, result=ProbeOutcome.SKIPPED) if step.detail == "ENOENT" else step


def _taken_back(attempt: _Attempt, bench: _Bench) -> str:
    try:
        if attempt.undo is not None:
            attempt.undo(bench)
    except OSError as err:
        return f"succeeded, and {bench.fresh} could not be removed: {_named(err)}"
    return "succeeded"


def _meaning(err: OSError) -> ProbeOutcome:
    if err.errno in _REFUSALS:
        return ProbeOutcome.REFUSED
    # a missing name was looked for, so the mount itself had nothing against it
    return ProbeOutcome.ALLOWED if err.errno == errno.ENOENT else ProbeOutcome.FAILED


def _named(err: OSError) -> str:
    return errno.errorcode.get(err.errno or 0, str(err))


def _bench(target: str, *, quiet: bool) -> _Bench:
    token = secrets.token_hex(16)
    fresh = os.path.join(target, f".dataguard-probe-{token}")
    return _Bench(target, fresh, f"{fresh}-b", _regular_file(target, quiet=quiet))


def _regular_file(target: str, *, quiet: bool) -> str | None:
    """Return the first regular file among the first few thousand entries.

    With `quiet`, directories are read without touching their access times, or not at all.
    """
    pending, looked_at = [target], 0
    while pending and looked_at < _LOOKED_AT:
        directory = pending.pop()
        for name, is_file, is_directory in _entries(directory, quiet=quiet):
            looked_at += 1
            if is_file:
                return os.path.join(directory, name)
            if is_directory:
                pending.append(os.path.join(directory, name))
            if looked_at >= _LOOKED_AT:
                break
    return None


def _entries(directory: str, *, quiet: bool) -> list[tuple[str, bool, bool]]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(directory, flags | (os.O_NOATIME if quiet else 0))
    except OSError:
        return []  # one that cannot be read: another one has a file, or the steps say skipped
    try:
        return _first_entries(descriptor)
    except OSError:
        return []
    finally:
        os.close(descriptor)


def _first_entries(directory: int) -> list[tuple[str, bool, bool]]:
    """Return name, whether a file, whether a directory; up to the first regular file."""
    found: list[tuple[str, bool, bool]] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            is_file = entry.is_file(follow_symlinks=False)
            found.append((entry.name, is_file, entry.is_dir(follow_symlinks=False)))
            if is_file or len(found) >= _LOOKED_AT:
                break
    return found


def _open_write(bench: _Bench) -> None:
    os.close(os.open(_file(bench), os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))


def _create(bench: _Bench) -> None:
    os.close(os.open(bench.fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _chmod(bench: _Bench) -> None:
    os.chmod(bench.target, os.stat(bench.target).st_mode & 0o7777)


def _chown(bench: _Bench) -> None:
    status = os.stat(bench.target)
    os.chown(bench.target, status.st_uid, status.st_gid)


def _utime(bench: _Bench) -> None:
    status = os.stat(bench.target)
    os.utime(bench.target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _setxattr(bench: _Bench) -> None:
    os.setxattr(bench.target, "user.dataguard-probe", b"", os.XATTR_CREATE)


def _truncate(bench: _Bench) -> None:
    os.truncate(_file(bench), os.stat(_file(bench)).st_size)


def _file(bench: _Bench) -> str:
    return bench.file or bench.fresh


_HARMLESS = (
    _Attempt("open", _open_write, needs_file=True),
    _Attempt("rename", lambda bench: os.rename(bench.fresh, bench.other)),
    _Attempt("unlink", lambda bench: os.unlink(bench.fresh)),
    _Attempt("rmdir", lambda bench: os.rmdir(bench.fresh)),
)
_TRACES = (
    _Attempt("create", _create, lambda bench: os.unlink(bench.fresh)),
    _Attempt("mkdir", lambda bench: os.mkdir(bench.fresh), lambda bench: os.rmdir(bench.fresh)),
    _Attempt(
        "symlink",
        lambda bench: os.symlink("nowhere", bench.fresh),
        lambda bench: os.unlink(bench.fresh),
    ),
    _Attempt(
        "link",
        lambda bench: os.link(_file(bench), bench.fresh),
        lambda bench: os.unlink(bench.fresh),
        needs_file=True,
    ),
    _Attempt("mkfifo", lambda bench: os.mkfifo(bench.fresh), lambda bench: os.unlink(bench.fresh)),
    _Attempt("chmod", _chmod),
    _Attempt("chown", _chown),
    _Attempt("utime", _utime),
    _Attempt(
        "setxattr",
        _setxattr,
        lambda bench: os.removexattr(bench.target, "user.dataguard-probe"),
    ),
    _Attempt("truncate", _truncate, needs_file=True),
)

OPERATIONS = ("mountinfo", "statvfs", *(attempt.operation for attempt in _HARMLESS + _TRACES))
"""Names of the steps of a probe, in their order."""
