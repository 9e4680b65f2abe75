"""The journal of a reclaim: what was begun and what is done, durable before the next step.

One JSON object a line in `state/reclaim/<id>.jsonl` of the home. A last line that a crash cut off
counts as not written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from base64 import b64decode, b64encode
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    NotFoundError,
    StoreUnreachableError,
)
from dataguard.model.digest import Algorithm
from dataguard.model.reclaim import Replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Mark", "ReclaimJournal", "only_one"]

FORMAT = "reclaim/1"
_BYTES = ("path", "temporary", "target", "entry", "digest")


class Mark(StrEnum):
    """How far one file or folder is; `removing` is for folders, which take more than one step."""

    BEGUN = "begun"
    EXCHANGED = "exchanged"
    REMOVING = "removing"
    DONE = "done"
    DROPPED = "dropped"
    UNDONE = "undone"


class ReclaimJournal:
    """The files of one reclaim and how far each is; see `create` and `open`."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.id = os.path.basename(path).removesuffix(".jsonl")
        self._descriptor = descriptor
        self.replaced: dict[int, Replaced] = {}
        self.marks: dict[int, Mark] = {}
        self.shared: dict[bytes, int] = {}

    @classmethod
    def create(cls, home: str, reclaim_id: str) -> Self:
        """Begin the journal of a new reclaim.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        path = _path(home, reclaim_id)
        with _converted(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        journal = cls(path, descriptor)
        journal._append({"format": FORMAT, "id": reclaim_id})
        journal.sync()
        _sync_directory(os.path.dirname(path))
        return journal

    @classmethod
    def open(cls, home: str, reclaim_id: str) -> Self:
        """Open the journal of an earlier reclaim, to go on with it or to undo it.

        Raises:
            CatalogDamagedError: it holds what nobody wrote, or a later dataguard did.
            NotFoundError: there is none of that id, or it is another user's.
            StoreUnreachableError: it cannot be read.
        """
        path = _path(home, reclaim_id, make=False)
        with _converted(path):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except PermissionError as err:
                raise _not_ours(reclaim_id) from err
            except FileNotFoundError as err:
                raise NotFoundError(
                    f"no reclaim `{reclaim_id}` in this home",
                    hint="`dataguard catalog events` lists those that were recorded",
                ) from err
            journal = cls(path, descriptor)
            if os.fstat(descriptor).st_uid != os.geteuid():  # its lines say what to do with files
                journal.close()
                raise _not_ours(reclaim_id)
            journal._load()
        return journal

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Files in between: neither replaced for good nor known to be as they were."""
        return self.numbers(Mark.BEGUN, Mark.EXCHANGED, Mark.REMOVING)

    def numbers(self, *marks: Mark) -> tuple[int, ...]:
        """Return the numbers of files that are this far."""
        return tuple(number for number, mark in self.marks.items() if mark in marks)

    def begin(self, one: Replaced) -> None:
        """Note what is about to be replaced; durable on return.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        self._append({"begin": _encoded(one)})
        self.sync()
        self.replaced[one.number], self.marks[one.number] = one, Mark.BEGUN

    def mark(self, number: int, mark: Mark) -> None:
        """Note how far a file is; durable on return.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        self._append({"number": number, "mark": str(mark)})
        self.sync()
        self.marks[number] = mark

    def share(self, path: bytes, gained: int) -> None:
        """Note that a file shares its blocks by now; durable at the next `sync`.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        self._append({"shared": b64encode(path).decode(), "gained": gained})
        self.shared[path] = gained

    def sync(self) -> None:
        """Make everything durable.

        Raises:
            StoreUnreachableError: it cannot be.
        """
        with _converted(self.path):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _append(self, record: Mapping[str, object]) -> None:
        line = json.dumps(record).encode() + b"\n"
        with _converted(self.path):
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            try:
                _write_whole(self._descriptor, line)
            except OSError:
                self._cut(end)  # half a line with another behind it would be no journal
                raise

    def _cut(self, end: int) -> None:
        os.ftruncate(self._descriptor, end)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    def _load(self) -> None:
        """Take in what was written; a cut-off end is removed."""
        content = b""
        while piece := os.read(self._descriptor, 1 << 20):
            content += piece
        whole, _, rest = content.rpartition(b"\n")
        if rest:
            self._cut(len(content) - len(rest))
        try:
            for number, line in enumerate(whole.splitlines()):
                self._take(json.loads(line), first=not number)
        except (ValueError, KeyError, TypeError) as err:
            raise CatalogDamagedError(
                f"{self.path} is no journal that this dataguard reads: {err}",
                hint="links that it made are in place; restore the journal from a backup",
            ) from err

    def _take(self, record: Mapping[str, object], *, first: bool) -> None:
        match record:
            case {"format": str(form)} if first and form == FORMAT:
                return
            case {"begin": dict(values)}:
                one = _decoded(values)
                self.replaced[one.number], self.marks[one.number] = one, Mark.BEGUN
            case {"number": int(number), "mark": str(mark)}:
                self.marks[number] = Mark(mark)
            case {"shared": str(path), "gained": int(gained)}:
                self.shared[b64decode(path)] = gained
            case _:
                raise ValueError(f"line {record}")


@contextlib.contextmanager
def only_one(home: str) -> Iterator[None]:
    """Keep every other reclaim of this home out.

    Raises:
        ConflictError: one is at work.
        StoreUnreachableError: the directory cannot be made or opened.
    """
    place = _place(home)
    with _converted(place):
        os.makedirs(place, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise ConflictError(
                "another reclaim of this home is at work", hint="wait for it, then run it again"
            ) from err
        yield
    finally:
        os.close(descriptor)


def _place(home: str) -> str:
    return os.path.join(home, "state", "reclaim")


def _path(home: str, reclaim_id: str, *, make: bool = True) -> str:
    place = _place(home)
    if make:
        with _converted(place):
            os.makedirs(place, exist_ok=True)
    if os.path.basename(reclaim_id) != reclaim_id or reclaim_id in ("", ".", ".."):
        raise NotFoundError(f"no reclaim `{reclaim_id}` in this home")
    return os.path.join(place, f"{reclaim_id}.jsonl")


def _write_whole(descriptor: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _not_ours(reclaim_id: str) -> NotFoundError:
    return NotFoundError(
        f"the journal of reclaim `{reclaim_id}` is another user's",
        hint="run the command as the user who gave the space back: `dataguard catalog events`",
    )


def _sync_directory(place: str) -> None:
    with _converted(place):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _encoded(one: Replaced) -> dict[str, object]:
    found = {field.name: getattr(one, field.name) for field in fields(one)}
    coded = {name: b64encode(found[name]).decode() for name in _BYTES}
    return {**found, **coded, "algorithm": str(one.algorithm)}


def _decoded(values: Mapping[str, object]) -> Replaced:
    values = {"files": 1, **values}  # journals from before there were folders do not say it
    known = {field.name: values[field.name] for field in fields(Replaced)}
    coded = {name: b64decode(str(known[name])) for name in _BYTES}
    if b"/" in coded["temporary"]:
        raise ValueError("a temporary name leads elsewhere")
    algorithm = Algorithm(str(known["algorithm"]))
    return Replaced(**{**known, **coded, "algorithm": algorithm})  # type: ignore[arg-type]


@contextlib.contextmanager
def _converted(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot write {path}: {err.strerror}", hint=f"ls -ld {os.path.dirname(path)}"
        ) from err
