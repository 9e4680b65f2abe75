"""Alerts as lines of JSON in a file that is rotated by size."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, SinkSettings, WatchStatus

__all__ = ["JsonLines"]


class JsonLines:
    """Appends one line an alert; opens the file for each delivery, so that others may move it.

    When it grew beyond `max_bytes` it is renamed to `FILE.1`, the one before to `FILE.2`, and so
    on; the oldest of `keep` is replaced. With `sync` a delivery has reached the disk.
    """

    def __init__(self, settings: SinkSettings) -> None:
        self.name = settings.name
        self._file = settings.target
        self._max_bytes = settings.max_bytes
        self._keep = settings.keep
        self._sync = settings.sync

    def send(self, alerts: Sequence[Alert]) -> None:
        """Append the alerts.

        Raises:
            StoreUnreachableError: the file cannot be written.
        """
        lines = "".join(json.dumps({"id": a.id, **a.data}) + "\n" for a in alerts).encode()
        try:
            self._rotate(len(lines))
            # Neither through a link nor waiting for whoever reads a pipe.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._file, flags | os.O_NONBLOCK, 0o640)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is no regular file")
                self._append(descriptor, lines)
            finally:
                os.close(descriptor)
        except OSError as err:
            raise StoreUnreachableError(f"cannot write {self._file}: {err.strerror}") from err

    def note(self, status: WatchStatus) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: no file is open in between."""

    def _append(self, descriptor: int, lines: bytes) -> None:
        before = os.fstat(descriptor).st_size
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if self._sync:
                os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                os.ftruncate(descriptor, before)
            raise

    def _rotate(self, coming: int) -> None:
        try:
            size = os.stat(self._file).st_size
        except FileNotFoundError:
            return
        if not size or size + coming <= self._max_bytes:
            return
        for number in range(self._keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self._file}.{number}", f"{self._file}.{number + 1}")
        os.replace(self._file, f"{self._file}.1")
