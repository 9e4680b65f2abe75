"""Who needs which objects of a node cache to stay: a text file for each."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError
from dataguard.model.actor import Process
from dataguard.model.cache import CachePin
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dataguard.model.cache import Wanted
    from dataguard.stores.cacheplace import CachePlace

__all__ = ["CachePins"]


_FORMAT = "cache-pin/1"
_SUFFIX = ".pin"


@dataclass(frozen=True, slots=True)
class CachePins:
    """The pins in a directory.

    A pin's first line says whose it is, each other one names an object: a million objects are no
    list in memory.
    """

    place: CachePlace
    directory: str

    def put(
        self,
        subject: str,
        objects: Iterable[Wanted],
        process: Process,
        now: datetime,
        *,
        lasting: bool,
    ) -> str:
        """Pin objects for a process, with `lasting` also for its lease; return the pin's name.

        What is pinned before it is filled stays. A lease has one pin, the last.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        name = _name(subject) if lasting else secrets.token_hex(16)
        head = {
            "format": _FORMAT,
            "subject": subject,
            "since": now.isoformat(),
            "process": asdict(process),
            "lasting": lasting,
        }
        with self.place.locked(shared=True):
            try:
                self._write(name, json.dumps(head), objects)
            except OSError as err:
                raise self.place.failed("pin objects in", err) from err
        return name

    def release(self, name: str) -> None:
        """Take a pin away, if it is there.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path(name))
        except OSError as err:
            raise self.place.failed("release objects of", err) from err

    def release_lease(self, subject: str) -> None:
        """Take the pin of a lease away, if it has one.

        Raises:
            StoreUnreachableError: it cannot be removed.
        """
        self.release(_name(subject))

    def all(self) -> tuple[CachePin, ...]:
        """Return every pin, oldest first.

        Raises:
            StoreUnreachableError: they cannot be read.
        """
        try:
            names = [name for name in os.listdir(self.directory) if name.endswith(_SUFFIX)]
        except FileNotFoundError:
            return ()
        except OSError as err:
            raise self.place.failed("read the pins of", err) from err
        found = (self._read(name.removesuffix(_SUFFIX)) for name in names)
        return tuple(sorted((one for one in found if one is not None), key=lambda one: one.since))

    def tidy(self, holds: Callable[[CachePin], bool]) -> tuple[CachePin, ...]:
        """Take away the pins that hold no more, and return the others."""
        kept = []
        for pin in self.all():
            if holds(pin):
                kept.append(pin)
            else:
                self.release(pin.name)
        return tuple(kept)

    def objects(self, pins: Iterable[CachePin]) -> Iterator[tuple[str, bytes]]:
        """Yield algorithm and digest of everything that is pinned, more than once where it is.

        Raises:
            StoreUnreachableError: a pin cannot be read.
        """
        for pin in pins:
            try:
                with open(self._path(pin.name), encoding="ascii") as lines:
                    next(lines)
                    for line in lines:
                        algorithm, _, digest = line.rstrip("\n").partition(":")
                        yield algorithm, bytes.fromhex(digest)
            except FileNotFoundError:
                continue  # released meanwhile
            except OSError as err:
                raise self.place.failed("read the pins of", err) from err

    def _write(self, name: str, head: str, objects: Iterable[Wanted]) -> None:
        mode = self.place.mode & 0o666
        descriptor, draft = tempfile.mkstemp(dir=self.directory, prefix=".draft-")
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(f"{head}\n")
                file.writelines(f"{one}\n" for one in objects)
                os.fchmod(file.fileno(), mode)
            os.rename(draft, self._path(name))
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise

    def _read(self, name: str) -> CachePin | None:
        try:
            with open(self._path(name), encoding="ascii") as lines:
                head = json.loads(next(lines))
                count = sum(1 for _ in lines)
            process, since = Process(**head["process"]), datetime.fromisoformat(head["since"])
            return CachePin(name, head["subject"], since, process, head["lasting"], count)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise self.place.failed("read the pins of", err) from err
        except (StopIteration, KeyError, TypeError, ValueError) as err:
            # Better an error than to let go of what somebody needs.
            raise StoreUnreachableError(
                f"{self._path(name)} is no pin of the node cache",
                hint=f"nobody needs it any more? rm {self._path(name)}",
            ) from err

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name + _SUFFIX)


def _name(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogateescape")).hexdigest()[:32]
