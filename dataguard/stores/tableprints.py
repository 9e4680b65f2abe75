"""Prints of the tables of gold in files: made from gold once, checked when opened, safe to delete.

One file a version, named by its root, in `state/index/` of the home: `magic, length of the head,
xxh3-128 of what follows`, the head in JSON, the hashes of all samples as 64-bit words, little
endian.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash

from dataguard.core.cellprints import FORMAT, UnhashableColumnError
from dataguard.core.columns import kind_mask, raw_paths
from dataguard.core.numeric import np
from dataguard.core.rowprints import Printer, Sample, TablePrint, cells_of
from dataguard.stores.beginnings import Beginnings
from dataguard.stores.indexfiles import IndexFiles
from dataguard.stores.tables import (
    UnreadableTableError,
    batches_of,
    is_named_as_table,
    table_form,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from dataguard.model.dataset import Version
    from dataguard.stores.manifests import ManifestStore

__all__ = ["GoldTable", "TablePrints"]

_MAGIC = b"dataguard-rows-1"
_HEADER = struct.Struct("<16sQ16s")
_SUFFIX = ".tables"


class GoldTable(NamedTuple):
    """A table of a version: the row of its file in the manifest, and its print."""

    row: int
    print: TablePrint


class TablePrints:
    """The prints of a home."""

    def __init__(self, home: str, manifests: ManifestStore) -> None:
        self._files = IndexFiles(home, _SUFFIX)
        self._manifests = manifests

    def tables(
        self, version: Version, place: str | None, advance: Callable[[], None] = lambda: None
    ) -> tuple[list[GoldTable], int]:
        """Return the tables of a version, and how many of its files could not be read as such.

        They are read at `place` where there is no good file; one is kept only where all could be.
        `advance` is called after each. Tables are known by their names, or have none with a dot.

        Raises:
            CatalogDamagedError: the manifest is missing or damaged.
        """
        found = _load(self._files.path(version.root))
        if found is not None:
            return found, 0
        made, missed = [], 0
        for row, one in self._read(version, place, advance):
            if one is None:
                missed += 1
            else:
                made.append(GoldTable(row, one))
        if not missed:
            with contextlib.suppress(OSError):  # the next one reads gold again
                self._save(version, made)
        return made, missed

    def prune(self, roots: Collection[str]) -> None:
        """Remove the files of versions that are not in the catalog any more."""
        self._files.prune(roots)

    def _save(self, version: Version, tables: list[GoldTable]) -> None:
        """Write a file and put it in place.

        Raises:
            OSError: it cannot be written.
        """
        head, words = _packed(tables)
        body = head + words
        with (
            self._files.replacing(version.root) as descriptor,
            open(descriptor, "wb", closefd=False) as file,
        ):
            file.write(_HEADER.pack(_MAGIC, len(head), xxhash.xxh3_128_digest(body)))
            file.write(body)

    def _read(
        self, version: Version, place: str | None, advance: Callable[[], None]
    ) -> Iterator[tuple[int, TablePrint | None]]:
        """Yield the row of each table with its print; None where it cannot be read."""
        try:
            source = None if place is None else Beginnings(place)
        except OSError:  # then no file of it can be read either
            source = None
        if source is None:
            named = ((row, is_named_as_table(path)) for row, path in self._candidates(version))
            yield from ((row, None) for row, is_table in named if is_table)
            return
        with source:
            for row, path in self._candidates(version):
                try:
                    one = _printed(source, path)
                except (OSError, UnreadableTableError, UnhashableColumnError):
                    # Counted, and told with the version; what only looks like a table is none.
                    if is_named_as_table(path):
                        yield row, None
                    continue
                if one is not None:
                    yield row, one
                advance()

    def _candidates(self, version: Version) -> Iterator[tuple[int, bytes]]:
        first = 0
        for batch in self._manifests.read(version.root, version.algorithm):
            paths = raw_paths(batch)
            for row in np.flatnonzero(kind_mask(batch, "f")).tolist():
                path = paths[row].as_py()
                if is_named_as_table(path) or b"." not in path.rpartition(b"/")[2]:
                    yield first + row, path
            first += batch.num_rows


def _printed(source: Beginnings, path: bytes) -> TablePrint | None:
    """Return the print of a table; None where a file is none.

    Raises:
        OSError: it cannot be read.
        UnhashableColumnError: it has a column that cannot be compared.
        UnreadableTableError: it is damaged.
    """
    descriptor = source.open(path)
    try:
        form = table_form(descriptor)
        if form is None:
            return None
        printer = Printer()
        for batch in batches_of(descriptor, form):
            printer.add(cells_of(batch))
        return printer.result()
    finally:
        os.close(descriptor)


def _load(path: str) -> list[GoldTable] | None:
    """Return what a file holds; None where it is missing, damaged or of another kind."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:  # it is made again
        return None
    if len(content) < _HEADER.size:
        return None
    magic, length, digest = _HEADER.unpack_from(content)
    body = memoryview(content)[_HEADER.size :]
    if magic != _MAGIC or length > len(body) or xxhash.xxh3_128_digest(body) != digest:
        return None
    head = json.loads(bytes(body[:length]))
    if head["cells"] != FORMAT:
        return None
    hashes = np.frombuffer(body[length:], np.dtype("<u8"))
    return list(_tables(head["tables"], hashes))


def _tables(rows: Iterable[dict[str, Any]], hashes: np.ndarray) -> Iterator[GoldTable]:
    at = 0
    for one in rows:
        samples = []
        for column, count, bound in one["samples"]:
            samples.append(Sample(hashes[at : at + count], bound, column))
            at += count
        sums = one["rows"], one["total"], one["parity"], tuple(one["columns"])
        yield GoldTable(one["row"], TablePrint(*sums, samples[0], tuple(samples[1:])))


def _packed(tables: list[GoldTable]) -> tuple[bytes, bytes]:
    """Return the head and the hashes of a file."""
    samples = [(one.print.sample, *one.print.texts) for one in tables]
    rows = [
        {
            "row": one.row,
            "rows": one.print.rows,
            "total": one.print.total,
            "parity": one.print.parity,
            "columns": one.print.columns,
            "samples": [(item.column, len(item.hashes), item.bound) for item in several],
        }
        for one, several in zip(tables, samples, strict=True)
    ]
    head = json.dumps({"cells": FORMAT, "tables": rows}).encode()
    words = b"".join(item.hashes.tobytes() for several in samples for item in several)
    # Padded, so that the words are aligned when the file is read.
    head += b" " * (-len(head) % 8)
    return head, words
