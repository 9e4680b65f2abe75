"""The store of trees that exist in memory only: tests use it in place of a file system."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import raw_paths, text_paths
from dataguard.errors import NotFoundError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Kind, Obstacle, Unreadable
from dataguard.model.schema import observed_schema
from dataguard.model.span import WHOLE
from dataguard.stores.hashing import new_hash
from dataguard.stores.interface import Scanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import Algorithm, DigestPlan
    from dataguard.model.span import Span

__all__ = ["MemoryStore", "Stored"]

_ROWS = 64
"""Entries in a piece; few, so that tests see the seams."""

_TYPE_BITS = {Kind.FILE: stat.S_IFREG, Kind.SYMLINK: stat.S_IFLNK, Kind.DIRECTORY: stat.S_IFDIR}


@dataclass(frozen=True, slots=True)
class Stored:
    """What is at one path; the content of a symlink is its target, of a directory nothing."""

    kind: Kind
    content: bytes = b""
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    permissions: int = 0o644
    uid: int = 0
    gid: int = 0
    nlink: int = 1


class MemoryStore:
    """A tree held in a mapping of paths, which may change between two calls.

    A path with an `Obstacle` cannot be read. Without a mapping the place does not exist.
    """

    def __init__(self, place: str, tree: Mapping[bytes, Stored | Obstacle] | None) -> None:
        self.place = place
        self._tree = tree

    def filesystem(self) -> FileSystem | None:
        """Return None: no baseline is usable here."""
        return None

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry of the tree in a span of paths."""
        if self._tree is None:
            raise NotFoundError(f"no tree {self.place}")
        return self._pieces(sorted(filter(span.contains, self._tree)), plan, read=read)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths afresh."""
        for batch in entries:
            yield from self._pieces(raw_paths(batch).to_pylist(), plan, read=True)

    def _pieces(self, paths: list[bytes], plan: DigestPlan, *, read: bool) -> Iterator[Scanned]:
        for start in range(0, len(paths), _ROWS):
            yield self._piece(paths[start : start + _ROWS], plan, read=read)

    def _piece(self, paths: list[bytes], plan: DigestPlan, *, read: bool) -> Scanned:
        kept: list[tuple[bytes, Stored]] = []
        unreadable = []
        for path in paths:
            found = (self._tree or {}).get(path, Obstacle.VANISHED)
            if isinstance(found, Obstacle):
                unreadable.append(Unreadable(path, found, ""))
            else:
                kept.append((path, found))
        sizes = [len(thing.content) for _, thing in kept if thing.kind is Kind.FILE and read]
        return Scanned(_batch(kept, plan, read=read), tuple(unreadable), len(sizes), sum(sizes))


def _batch(kept: list[tuple[bytes, Stored]], plan: DigestPlan, *, read: bool) -> pa.RecordBatch:
    text, raw = text_paths(pa.array([path for path, _ in kept], pa.binary()))
    things = [thing for _, thing in kept]
    columns = {
        "kind": [str(thing.kind) for thing in things],
        "size": [len(thing.content) for thing in things],
        "link_target": [t.content if t.kind is Kind.SYMLINK else None for t in things],
        "mode": [_TYPE_BITS[thing.kind] | thing.permissions for thing in things],
        "racy": [False] * len(things),
        "digest": [_digest(thing, plan.main, read=read) for thing in things],
    }
    for algorithm in plan.also:
        columns[str(algorithm)] = [_digest(thing, algorithm, read=read) for thing in things]
    for name in ("mtime_ns", "ctime_ns", "inode", "uid", "gid", "nlink"):
        columns[name] = [getattr(thing, name) for thing in things]
    schema = observed_schema(plan.main, plan.also)
    rest = [pa.array(columns[field.name], field.type) for field in list(schema)[2:]]
    return pa.RecordBatch.from_arrays([text, raw, *rest], schema=schema)


def _digest(thing: Stored, algorithm: Algorithm, *, read: bool) -> bytes | None:
    if thing.kind is Kind.DIRECTORY:
        return bytes(algorithm.digest_bytes)
    if thing.kind is Kind.FILE and not read:
        return None
    one = new_hash(algorithm)()
    one.update(memoryview(thing.content))
    return one.digest()
