"""The store of local trees."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.core.columns import (
    array_column,
    flag_column,
    joined,
    joined_column,
    joined_fixed_column,
    letter_column,
    raw_paths,
    text_paths,
)
from dataguard.core.merge import by_path
from dataguard.core.runs import rows_through
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.entry import Unreadable
from dataguard.model.schema import observed_schema
from dataguard.model.span import WHOLE, inside
from dataguard.stores.filesystem import describe
from dataguard.stores.interface import Scanned
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import Leaf, Segment, Unit
from dataguard.stores.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.span import Span
    from dataguard.stores.interface import Spread
    from dataguard.stores.localunit import Columns
    from dataguard.stores.walk import Exclusion

__all__ = ["LocalStore", "exclusion"]

_NAMES_PER_UNIT = 1024
_STEP_BYTES = 16 << 20
"""What was handed back is given away in pieces of at least so much content."""

_BYTES_PER_NAME = 32
"""What a name takes in the listing of a directory: ext4 needs 8 bytes beside the name."""

_COUNTS_LINKS = frozenset({"ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs"})
"""File systems whose directories have a link for each directory in them."""


class LocalStore:
    """A directory tree on this host."""

    def __init__(
        self,
        place: str,
        *,
        host: str,
        spread: Spread,
        exclude: tuple[str, ...] = (),
        polite: bool = False,
    ) -> None:
        """Open nothing yet; `polite` leaves nothing in the page cache that was not there."""
        self.place = place
        self._host = host
        self._spread = spread
        self._excluded = exclusion(exclude)
        self._polite = polite

    def filesystem(self) -> FileSystem:
        """Return the file system that holds the place."""
        return describe(self.place, self._host)

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry below the place in a span of paths."""
        self._check_directory()
        return self._observe(self._walked(span), plan, read=read)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths afresh."""
        paths = (path for batch in entries for path in raw_paths(batch).to_pylist())
        return self.read_paths(paths, plan)

    def read_paths(self, paths: Iterable[bytes], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths, which are in path order, afresh."""
        return self._observe(_segments(paths), plan, read=True)

    def _observe(
        self, items: Iterable[Segment | Leaf | Unreadable], plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        tick_ns = self.filesystem().tick_ns
        empty = Unit(
            self.place, (), plan.algorithms, read, tick_ns, hand_back=True, polite=self._polite
        )
        results = self._spread(read_unit, _units(items, empty), _set_aside)
        for unit, columns in results:
            piece = _scanned(unit, columns, plan)
            back = islice(results, len(columns.large))
            rest = (_scanned(one, found, plan) for one, found in back)
            if columns.branches:
                piece = _merged([piece, *rest])
                yield from self._with_branches(piece, columns, plan, read=read)
            else:
                yield from _in_steps(piece, rest)

    def _with_branches(
        self, piece: Scanned, columns: Columns, plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        """Put in what lies in directories that were no leaves when a worker listed them."""
        for branch in columns.branches:
            before, piece = _cut(piece, branch)
            yield before
            found = self._walked(inside(branch), leaves=False)
            yield from self._observe(found, plan, read=read)
        yield piece

    def _walked(self, span: Span, *, leaves: bool = True) -> Iterator[Segment | Leaf | Unreadable]:
        leaves = leaves and self.filesystem().kind in _COUNTS_LINKS
        try:
            yield from walk(self.place, self._excluded, span, leaves=leaves)
        except OSError as err:
            raise StoreUnreachableError(f"cannot list {self.place}: {err.strerror}") from err

    def _check_directory(self) -> None:
        try:
            with os.scandir(self.place):
                return
        except FileNotFoundError as err:
            raise NotFoundError(f"no directory {self.place}") from err
        except NotADirectoryError as err:
            raise UsageError(
                f"{self.place} is not a directory", hint="register the directory that holds it"
            ) from err
        except OSError as err:
            raise StoreUnreachableError(f"cannot list {self.place}: {err.strerror}") from err


def exclusion(patterns: tuple[str, ...]) -> Exclusion | None:
    """Return the test for gitignore patterns; None where there are none.

    Raises:
        UsageError: a pattern is not valid.
    """
    if not patterns:
        return None
    import pathspec  # noqa: PLC0415  only where patterns are given

    try:
        spec = pathspec.GitIgnoreSpec.from_lines(_pattern(pattern) for pattern in patterns)
    except ValueError as err:
        raise UsageError(f"invalid pattern: {err}", hint="see gitignore(5)") from err

    def excluded(path: bytes, is_directory: bool) -> bool:
        text = _one_line(os.fsdecode(path))
        return spec.match_file(text + "/" if is_directory else text)

    return excluded


def _pattern(pattern: str) -> str:
    """Return a pattern that pathspec understands as git does."""
    # git's `a/**` is what lies in `a`; pathspec takes `a` itself out too, and so what `!` keeps.
    return _one_line(re.sub(r"/\*\*(/?)$", r"/**/*\1", pattern))


def _one_line(text: str) -> str:
    """Put a character that no path holds for newlines: to pathspec they end the text."""
    return text.replace("\n", "\udc0a")


def _units(items: Iterable[Segment | Leaf | Unreadable], empty: Unit) -> Iterator[Unit]:
    parts: list[Segment | Leaf] = []
    unreadable: list[Unreadable] = []
    held = 0
    for item in items:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        else:
            parts.append(item)
            held += _names(item)
        if held >= _NAMES_PER_UNIT:
            yield replace(empty, parts=tuple(parts), unreadable=tuple(unreadable))
            parts, unreadable, held = [], [], 0
    if parts or unreadable:
        yield replace(empty, parts=tuple(parts), unreadable=tuple(unreadable))


def _names(part: Segment | Leaf) -> int:
    """Return how many names a part has, estimated where nobody listed it yet."""
    return part.listing_bytes // _BYTES_PER_NAME if isinstance(part, Leaf) else len(part.names)


def _segments(paths: Iterable[bytes]) -> Iterator[Segment]:
    """Group paths in order by their directory."""
    directory = b""
    names: list[bytes] = []
    for path in paths:
        parent, _, name = path.rpartition(b"/")
        if parent != directory and names:
            yield Segment(directory, tuple(names))
            names = []
        directory = parent
        names.append(name)
    if names:
        yield Segment(directory, tuple(names))


def _set_aside(unit: Unit, columns: Columns) -> list[Unit]:
    """Return a unit for each large file that the worker handed back."""
    return [replace(unit, parts=(one,), hand_back=False, unreadable=()) for one in columns.large]


def _scanned(unit: Unit, columns: Columns, plan: DigestPlan) -> Scanned:
    unreadable = sorted((*unit.unreadable, *columns.unreadable), key=lambda item: item.path)
    entries = _batch(columns, plan)
    return Scanned(entries, tuple(unreadable), columns.files_read, columns.bytes_read)


def _batch(columns: Columns, plan: DigestPlan) -> pa.RecordBatch:
    schema = observed_schema(plan.main, plan.also)
    text, raw = text_paths(joined_column(columns.paths, columns.lengths))
    count = len(text)
    stats = {
        name: array_column(values, schema.field(name).type)
        for name, values in columns.stats.items()
    }
    digests = [
        joined_fixed_column(values, algorithm.digest_bytes, columns.digested)
        for values, algorithm in zip(columns.digests, plan.algorithms, strict=True)
    ]
    made = {
        "path": text,
        "path_raw": raw,
        "kind": letter_column(columns.kinds),
        "digest": digests[0],
        "link_target": _targets(columns.links, count),
        "racy": flag_column(columns.racy),
        **stats,
        **{
            str(algorithm): digest for algorithm, digest in zip(plan.also, digests[1:], strict=True)
        },
    }
    return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)


def _targets(links: dict[int, bytes], count: int) -> pa.Array:
    if not links:
        return pa.nulls(count, pa.binary())
    return pa.array([links.get(i) for i in range(count)], pa.binary())


def _cut(piece: Scanned, path: bytes) -> tuple[Scanned, Scanned]:
    """Part a piece before a path; what else it says goes with the first part."""
    position = rows_through(raw_paths(piece.entries), path)
    first = replace(piece, entries=piece.entries.slice(0, position))
    return first, Scanned(piece.entries.slice(position), (), 0, 0)


def _in_steps(piece: Scanned, rest: Iterator[Scanned]) -> Iterator[Scanned]:
    """Put what was handed back into a piece, and give away what is done before all of it is."""
    held: list[Scanned] = []
    for one in rest:
        held.append(one)
        if one.entries.num_rows and sum(found.bytes_read for found in held) >= _STEP_BYTES:
            paths = raw_paths(one.entries)
            before, piece = _cut(piece, paths[len(paths) - 1].as_py())
            yield _merged([before, *held])
            held = []
    yield _merged([piece, *held]) if held else piece


def _merged(pieces: list[Scanned]) -> Scanned:
    """Join pieces of one unit, in path order again."""
    return Scanned(
        by_path(joined([piece.entries for piece in pieces])),
        tuple(item for piece in pieces for item in piece.unreadable),
        sum(piece.files_read for piece in pieces),
        sum(piece.bytes_read for piece in pieces),
    )
