"""Batches of observed entries for tests: written as values, one line an entry."""

from __future__ import annotations

import stat
from dataclasses import dataclass, fields

import pyarrow as pa
import xxhash

from dataguard.core.columns import text_paths
from dataguard.model.digest import Algorithm
from dataguard.model.schema import LOCATION_SHEET, manifest_schema, observed_schema

__all__ = ["Seen", "batch_of", "batches_of", "directory", "file", "link"]

XXH3 = Algorithm.XXH3_128
_TYPES = {"f": stat.S_IFREG | 0o644, "l": stat.S_IFLNK | 0o777, "d": stat.S_IFDIR | 0o755}


@dataclass(frozen=True, slots=True)
class Seen:
    """One observed entry; `content` is None where a file was not read."""

    path: bytes
    kind: str = "f"
    content: bytes | None = b""
    size: int = 0
    mode: int = stat.S_IFREG | 0o644
    mtime_ns: int = 1
    ctime_ns: int = 1
    inode: int = 1
    uid: int = 0
    gid: int = 0
    racy: bool = False
    nlink: int = 1

    @property
    def digest(self) -> bytes | None:
        if self.kind == "d":
            return bytes(16)
        return None if self.content is None else xxhash.xxh3_128_digest(self.content)

    @property
    def link_target(self) -> bytes | None:
        return self.content if self.kind == "l" else None


def file(path: bytes, content: bytes | None = b"", **facts) -> Seen:
    return Seen(path, "f", content, **{"size": len(content or b""), **facts})


def link(path: bytes, target: bytes, **facts) -> Seen:
    return Seen(path, "l", target, **{"size": len(target), "mode": _TYPES["l"], **facts})


def directory(path: bytes, **facts) -> Seen:
    return Seen(path, "d", b"", **{"mode": _TYPES["d"], **facts})


def batch_of(entries: list[Seen], *, sheet: bool = True, scan: bool = True) -> pa.RecordBatch:
    """Return the entries as a scan has them, as manifest with sheet, or as manifest alone."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    schema = manifest_schema(XXH3)
    if scan:
        schema = observed_schema(XXH3)
    elif sheet:
        schema = pa.schema([*schema, *LOCATION_SHEET])
    text, raw = text_paths(pa.array([entry.path for entry in ordered], pa.binary()))
    names = {field.name for field in fields(Seen)} | {"digest", "link_target"}
    arrays = [text, raw]
    for field in list(schema)[2:]:
        assert field.name in names
        arrays.append(pa.array([getattr(entry, field.name) for entry in ordered], field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def batches_of(entries: list[Seen], rows: list[int], **how: bool) -> list[pa.RecordBatch]:
    """Cut the entries into batches of these numbers of rows, the rest into one more."""
    whole, start, found = batch_of(entries, **how), 0, []
    for count in rows:
        found.append(whole.slice(start, count))
        start += count
    return [*found, whole.slice(start)]
