"""Contents of a directory's files, read for the node cache."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from dataguard.core.columns import raw_paths
from dataguard.errors import StoreUnreachableError
from dataguard.model.cache import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.cache import Fetch
    from dataguard.model.digest import Algorithm

__all__ = ["local_contents"]

_PIECE = 1 << 20


def local_contents(
    place: str, batches: Iterable[pa.RecordBatch], algorithm: Algorithm
) -> Iterator[tuple[Wanted, Fetch]]:
    """Yield the content of each file that is not empty, with what reads it from a directory.

    What is read may be anything by now: whoever keeps it compares its digest.
    """
    top = os.fsencode(place)
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("kind", "size", "digest"))
        for path, kind, size, digest in zip(raw_paths(batch).to_pylist(), *columns, strict=True):
            if kind == "f" and size:
                yield Wanted(algorithm, digest, size), partial(_read, os.path.join(top, path))


def _read(path: bytes, start: int) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            file.seek(start)
            while piece := file.read(_PIECE):
                yield piece
    except OSError as err:
        raise StoreUnreachableError(f"cannot read {os.fsdecode(path)}: {err.strerror}") from err
