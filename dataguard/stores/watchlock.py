"""Keeps a second watcher of the same datasets, home and host away: it would tell all twice."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["watch_locked"]

_ALL = "all.lock"


@contextlib.contextmanager
def watch_locked(home: str, host: str, datasets: Sequence[str]) -> Iterator[None]:
    """Hold the right to watch some datasets on a host until the block ends; none of them: all.

    Watchers of different datasets may live side by side, and whoever watches all lives alone. The
    locks end with the process, however it ends.

    Raises:
        ConflictError: another watcher tells of these already.
        StoreUnreachableError: the home takes no lock.
    """
    directory = os.path.join(home, "state", "watch", host.replace("/", "_") or "host")
    with contextlib.ExitStack() as held:
        try:
            os.makedirs(directory, exist_ok=True)
            if not datasets:
                _hold(held, directory, _ALL, fcntl.LOCK_EX)
            else:
                _hold(held, directory, _ALL, fcntl.LOCK_SH)
            for name in sorted(set(datasets)):
                _hold(held, directory, _file_of(name), fcntl.LOCK_EX)
        except OSError as err:
            raise StoreUnreachableError(f"cannot lock {directory}: {err.strerror}") from err
        yield


def _hold(held: contextlib.ExitStack, directory: str, name: str, how: int) -> None:
    descriptor = os.open(os.path.join(directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ConflictError(
            f"{_holder(descriptor)} tells of these datasets already: all would be told twice",
            hint="`systemctl status dataguard-watch`; `dataguard watch --once` works beside it",
        ) from err
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Return who wrote the lock last, in words; of several that share it, one."""
    number = os.pread(descriptor, 20, 0).strip()
    return f"a watcher (process {number.decode()})" if number.isdigit() else "another watcher"


def _file_of(dataset: str) -> str:
    return hashlib.sha256(dataset.encode()).hexdigest()[:32] + ".lock"
