"""Alerts that wait for a sink, in files that survive the watcher."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataguard.errors import StoreUnreachableError
from dataguard.model.alert import Alert
from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Outbox"]

_DROPPED = "dropped"
_SUFFIX = ".json"
_NAME = re.compile(r"\d+-\d+" + re.escape(_SUFFIX))


class Outbox:
    """A queue of deliveries on disk, one file each, oldest first; one writer and one reader.

    Holds `limit` deliveries: for one more the oldest is dropped, and its alerts are counted.
    """

    def __init__(self, directory: str, limit: int) -> None:
        """Take up what an earlier watcher left.

        Raises:
            StoreUnreachableError: the directory cannot be made or read.
        """
        self._directory = directory
        self._limit = limit
        self._lock = threading.Lock()
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            names = sorted(name for name in os.listdir(directory) if _NAME.fullmatch(name))
        except OSError as err:
            raise StoreUnreachableError(f"cannot use {directory}: {err.strerror}") from err
        self._names = deque(names)
        self._next = 1 + (int(names[-1].partition("-")[0]) if names else 0)
        self.dropped = self._read_dropped()

    def __len__(self) -> int:
        with self._lock:
            return len(self._names)

    def put(self, alerts: Sequence[Alert]) -> None:
        """Keep a delivery; it is on the disk when this returns.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        name = f"{self._next:016d}-{os.getpid()}{_SUFFIX}"
        self._write(name, json.dumps([_encoded(alert) for alert in alerts]))
        self._next += 1
        with self._lock:
            self._names.append(name)
            surplus = [self._names.popleft() for _ in range(len(self._names) - self._limit)]
        for old in surplus:
            self._drop(old)

    def first(self) -> tuple[str, tuple[Alert, ...]] | None:
        """Return the oldest delivery and its name; None where nothing waits.

        Raises:
            StoreUnreachableError: it cannot be read.
        """
        while True:
            with self._lock:
                if not self._names:
                    return None
                name = self._names[0]
            try:
                with open(self._path(name), encoding="utf-8") as file:
                    return name, tuple(_decoded(one) for one in json.load(file))
            except FileNotFoundError:
                self.remove(name)  # dropped, or delivered by another watcher
            except OSError as err:
                raise StoreUnreachableError(f"cannot read {name}: {err.strerror}") from err
            except (ValueError, KeyError, TypeError):
                self._drop(name)
                self.remove(name)

    def remove(self, name: str) -> None:
        """Forget a delivery that was made."""
        with self._lock, contextlib.suppress(ValueError):
            self._names.remove(name)
        with contextlib.suppress(OSError):  # it would be delivered twice, which is allowed
            os.unlink(self._path(name))

    def _drop(self, name: str) -> None:
        try:
            with open(self._path(name), encoding="utf-8") as file:
                count = len(json.load(file))
        except (OSError, ValueError):
            count = 1
        self.dropped += count
        with contextlib.suppress(OSError):
            os.unlink(self._path(name))
        with contextlib.suppress(StoreUnreachableError):  # the count in memory stays right
            self._write(_DROPPED, str(self.dropped))

    def _read_dropped(self) -> int:
        try:
            with open(self._path(_DROPPED), encoding="utf-8") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def _write(self, name: str, text: str) -> None:
        path = self._path(name)
        try:
            with open(f"{path}.partial", "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.partial", path)
            self._sync()
        except OSError as err:
            with contextlib.suppress(OSError):
                os.unlink(f"{path}.partial")
            raise StoreUnreachableError(f"cannot write {path}: {err.strerror}") from err

    def _sync(self) -> None:
        """Have the names of the files on the disk too."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _encoded(alert: Alert) -> dict[str, object]:
    path = b64encode(alert.path).decode()
    return {**asdict(alert), "time": alert.time.isoformat(), "path": path}


def _decoded(fields: dict[str, Any]) -> Alert:
    known = {
        "time": datetime.fromisoformat(fields["time"]),
        "severity": Severity(fields["severity"]),
        "path": b64decode(fields["path"]),
    }
    return Alert(**{**fields, **known})
