"""The columns of a file, for objects: what compares files then compares objects as well.

An object has no inode and no ctime. `inode` stands for its etag, `mtime_ns` for the time of its
last change; with the size they tell whether it may have other content. Version ids are compared
for themselves, where both sides have them. Nobody owns an object, as far as a listing tells.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from dataguard.core.columns import flag_column, number_column, numbers
from dataguard.model.schema import LOCATION_SHEET

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_files", "etag_marks", "unpinned"]

_NANOSECONDS = 1_000_000


def as_files(etags: pa.Array, moments: pa.Array) -> dict[str, pa.Array]:
    """Return the columns of `LOCATION_SHEET` for objects with these etags and times."""
    count = len(etags)
    zeros = np.zeros(count, np.int64)
    made = {
        "mtime_ns": number_column(_milliseconds(moments) * _NANOSECONDS),
        "ctime_ns": number_column(zeros),
        "inode": number_column(etag_marks(etags.to_pylist())),
        "mode": _regular(count),
        "uid": number_column(zeros),
        "gid": number_column(zeros),
        "racy": flag_column(bytes(count)),
    }
    return {name: made[name] for name in LOCATION_SHEET.names}


def unpinned(entries: pa.RecordBatch) -> int:
    """Count the observed objects that have no version to hold on to; files do not count."""
    if "version_id" not in entries.schema.names:
        return 0
    return int(entries.column("version_id").null_count)


def etag_marks(etags: Sequence[str | None]) -> np.ndarray:
    """Return the number that stands for each etag in `inode`."""
    digests = [xxhash.xxh3_64_digest(b"" if etag is None else etag.encode()) for etag in etags]
    return np.frombuffer(b"".join(digests), np.int64)


def _milliseconds(moments: pa.Array) -> np.ndarray:
    if moments.null_count:
        moments = moments.fill_null(0)
    return numbers(moments.view(pa.int64()))


def _regular(count: int) -> pa.Array:
    modes = np.full(count, stat.S_IFREG, np.int32)
    return pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(modes)])
