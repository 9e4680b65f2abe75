"""The store of local trees."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataguard.core.columns import (
    binary_column,
    fixed_column,
    flag_column,
    number_column,
    raw_paths,
    text_paths,
)
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.entry import Unreadable
from dataguard.model.schema import LOCATION_SHEET, observed_schema
from dataguard.model.span import WHOLE
from dataguard.stores.filesystem import describe
from dataguard.stores.interface import Scanned
from dataguard.stores.localread import Columns, Unit, read_unit
from dataguard.stores.walk import Segment, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.span import Span
    from dataguard.stores.interface import Spread
    from dataguard.stores.walk import Exclusion

__all__ = ["LocalStore", "exclusion"]

_NAMES_PER_UNIT = 256


class LocalStore:
    """A directory tree on this host."""

    def __init__(
        self, place: str, *, host: str, spread: Spread, exclude: tuple[str, ...] = ()
    ) -> None:
        self.place = place
        self._host = host
        self._spread = spread
        self._excluded = exclusion(exclude)

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
        return self._observe(_segments(paths), plan, read=True)

    def read_paths(self, paths: Iterable[bytes], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths, which are in path order, afresh."""
        return self._observe(_segments(paths), plan, read=True)

    def _observe(
        self, items: Iterable[Segment | Unreadable], plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        tick_ns = self.filesystem().tick_ns
        units = _units(items, Unit(self.place, (), plan.algorithms, read, tick_ns, hand_back=True))
        for unit, columns in self._spread(read_unit, units):
            piece = _scanned(unit, columns, plan)
            yield self._with_large(piece, unit, columns, plan) if columns.large else piece

    def _with_large(
        self, piece: Scanned, unit: Unit, columns: Columns, plan: DigestPlan
    ) -> Scanned:
        """Read large files one a unit, so that they are spread and not read one after another."""
        large = self._spread(read_unit, _set_aside(unit, columns))
        return _merged([piece, *(_scanned(one, found, plan) for one, found in large)])

    def _walked(self, span: Span) -> Iterator[Segment | Unreadable]:
        try:
            yield from walk(self.place, self._excluded, span)
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


def _units(items: Iterable[Segment | Unreadable], empty: Unit) -> Iterator[Unit]:
    segments: list[Segment] = []
    unreadable: list[Unreadable] = []
    held = 0
    for item in items:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        else:
            segments.append(item)
            held += len(item.names)
        if held >= _NAMES_PER_UNIT:
            yield _unit(empty, segments, unreadable)
            segments, unreadable, held = [], [], 0
    if segments or unreadable:
        yield _unit(empty, segments, unreadable)


def _unit(like: Unit, segments: list[Segment], unreadable: list[Unreadable]) -> Unit:
    return replace(like, segments=tuple(segments), unreadable=tuple(unreadable))


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


def _scanned(unit: Unit, columns: Columns, plan: DigestPlan) -> Scanned:
    unreadable = (*unit.unreadable, *columns.unreadable)
    entries = _batch(_paths(unit, columns), columns, plan)
    return Scanned(entries, unreadable, columns.files_read, columns.bytes_read)


def _paths(unit: Unit, columns: Columns) -> pa.Array:
    paths: list[bytes] = []
    for segment in unit.segments:
        prefix = segment.directory + b"/" if segment.directory else b""
        paths.extend([prefix + name for name in segment.names])
    if len(columns.kept) != len(paths):
        paths = [paths[position] for position in columns.kept]
    return binary_column(paths)


def _batch(paths: pa.Array, columns: Columns, plan: DigestPlan) -> pa.RecordBatch:
    count = len(paths)
    text, raw = text_paths(paths)
    offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int32))
    kinds = pa.StringArray.from_buffers(count, offsets, pa.py_buffer(bytes(columns.kinds)))
    links = pa.nulls(count, pa.binary())
    if columns.links:
        links = pa.array([columns.links.get(i) for i in range(count)], pa.binary())
    stats = {name: number_column(values) for name, values in columns.stats.items()}
    stats["racy"] = flag_column(columns.racy)
    digests = [
        fixed_column(values, algorithm.digest_bytes)
        for values, algorithm in zip(columns.digests, plan.algorithms, strict=True)
    ]
    sheet = [stats[field.name].cast(field.type) for field in LOCATION_SHEET]
    return pa.RecordBatch.from_arrays(
        [text, raw, kinds, stats["size"], digests[0], links, *sheet, stats["nlink"], *digests[1:]],
        schema=observed_schema(plan.main, plan.also),
    )


def _set_aside(unit: Unit, columns: Columns) -> Iterator[Unit]:
    """Yield a unit for each large file that the worker handed back."""
    names = [(s.directory, name) for s in unit.segments for name in s.names]
    for position in columns.large:
        directory, name = names[position]
        yield replace(unit, segments=(Segment(directory, (name,)),), hand_back=False, unreadable=())


def _merged(pieces: list[Scanned]) -> Scanned:
    """Join pieces of one unit, in path order again."""
    table = pa.Table.from_batches([piece.entries for piece in pieces]).combine_chunks()
    if not table.num_rows:
        entries = pieces[0].entries
    else:
        entries = table.to_batches()[0]
        entries = entries.take(pc.sort_indices(raw_paths(entries)))
    return Scanned(
        entries,
        tuple(item for piece in pieces for item in piece.unreadable),
        sum(piece.files_read for piece in pieces),
        sum(piece.bytes_read for piece in pieces),
    )
