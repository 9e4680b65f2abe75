"""The store of local trees."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.entry import Unreadable
from dataguard.model.span import WHOLE, inside
from dataguard.stores.filesystem import describe
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import Leaf, Segment, Unit
from dataguard.stores.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.span import Span
    from dataguard.stores.interface import Scanned, Spread
    from dataguard.stores.localunit import Columns
    from dataguard.stores.sieve import SieveName
    from dataguard.stores.walk import Exclusion

__all__ = ["LocalStore", "exclusion"]

_NAMES_PER_UNIT = 1024
_SIFTED_PER_UNIT = 4096
"""Files that are only looked at take less: so many, once there are units for many workers."""

_SMALL_UNITS = 16

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
        left_out: Exclusion | None = None,
        polite: bool = False,
        rate: int = 0,
        sieve: SieveName | None = None,
    ) -> None:
        """Open nothing yet; `polite` leaves nothing in the page cache that was not there.

        `left_out` is a test in place of the patterns `exclude`; `rate` is how many bytes a second
        a worker reads, 0 is any number; `sieve`: see `sifted`.
        """
        self.place = place
        self._host = host
        self._spread = spread
        self._excluded = left_out or exclusion(exclude)
        self._polite = polite
        self._rate = rate
        self._sieve = sieve

    def sifted(self, sieve: SieveName) -> LocalStore:
        """Return the same place, of which scans tell only what a sieve lets through.

        What the sieve knows comes unread, everything else that comes is read.
        """
        return LocalStore(
            self.place,
            host=self._host,
            spread=self._spread,
            left_out=self._excluded,
            polite=self._polite,
            rate=self._rate,
            sieve=sieve,
        )

    def filesystem(self) -> FileSystem:
        """Return the file system that holds the place."""
        return describe(self.place, self._host)

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry below the place in a span of paths; the workers begin at once."""
        self._check_directory()
        results = self._results(self._walked(span), plan, read=read)
        begun = tuple(islice(results, 1))
        return self._pieces(chain(begun, results), plan, read=read)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths afresh."""
        from dataguard.core.columns import raw_paths  # noqa: PLC0415  as below

        paths = (path for batch in entries for path in raw_paths(batch).to_pylist())
        return self.read_paths(paths, plan)

    def read_paths(
        self, paths: Iterable[bytes], plan: DigestPlan, *, read: bool = True
    ) -> Iterator[Scanned]:
        """Yield the entries at these paths, which are in path order, afresh."""
        return self._observe(_segments(paths), plan, read=read)

    def _observe(
        self, items: Iterable[Segment | Leaf | Unreadable], plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        return self._pieces(self._results(items, plan, read=read), plan, read=read)

    def _results(
        self, items: Iterable[Segment | Leaf | Unreadable], plan: DigestPlan, *, read: bool
    ) -> Iterator[tuple[Unit, Columns]]:
        tick_ns = self.filesystem().tick_ns
        empty = Unit(
            self.place,
            (),
            plan.algorithms,
            read,
            tick_ns,
            hand_back=True,
            polite=self._polite,
            sieve=self._sieve,
            rate=self._rate,
        )
        return self._spread(read_unit, _units(items, empty), _set_aside)

    def _pieces(
        self, results: Iterator[tuple[Unit, Columns]], plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        from dataguard.stores import pieces  # noqa: PLC0415  loads Arrow: workers read meanwhile

        for unit, columns in results:
            piece = pieces.scanned(unit, columns, plan)
            back = islice(results, len(columns.large))
            rest = (pieces.scanned(one, found, plan) for one, found in back)
            if columns.branches:
                piece = pieces.merged([piece, *rest])
                yield from self._with_branches(piece, columns, plan, read=read)
            else:
                yield from pieces.in_steps(piece, rest)

    def _with_branches(
        self, piece: Scanned, columns: Columns, plan: DigestPlan, *, read: bool
    ) -> Iterator[Scanned]:
        """Put in what lies in directories that were no leaves when a worker listed them."""
        from dataguard.stores.pieces import cut  # noqa: PLC0415  as above

        for branch in columns.branches:
            before, piece = cut(piece, branch)
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
    held = count = 0
    for item in items:
        if isinstance(item, Unreadable):
            unreadable.append(item)
        else:
            parts.append(item)
            held += _names(item)
        larger = empty.sieve is not None and count >= _SMALL_UNITS
        if held >= (_SIFTED_PER_UNIT if larger else _NAMES_PER_UNIT):
            yield replace(empty, parts=tuple(parts), unreadable=tuple(unreadable))
            parts, unreadable, held, count = [], [], 0, count + 1
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
        # No more than a unit, or one worker would have all of a large directory.
        if names and (parent != directory or len(names) == _NAMES_PER_UNIT):
            yield Segment(directory, tuple(names))
            names = []
        directory = parent
        names.append(name)
    if names:
        yield Segment(directory, tuple(names))


def _set_aside(unit: Unit, columns: Columns) -> list[Unit]:
    """Return a unit for each large file that the worker handed back."""
    return [replace(unit, parts=(one,), hand_back=False, unreadable=()) for one in columns.large]
