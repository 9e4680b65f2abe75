"""Contents of a bucket's objects, read by their pins for the node cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dataguard.core.columns import raw_paths
from dataguard.model.cache import Wanted
from dataguard.model.objects import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.cache import Fetch
    from dataguard.model.digest import Algorithm
    from dataguard.stores.objectclient import ObjectClient

__all__ = ["object_contents"]

_COLUMNS = ("kind", "size", "digest", "version_id", "etag")


def object_contents(
    client: ObjectClient, prefix: bytes, batches: Iterable[pa.RecordBatch], algorithm: Algorithm
) -> Iterator[tuple[Wanted, Fetch]]:
    """Yield the content of each object that is not empty, with what reads it as it is pinned.

    Batches have the manifest's columns and an object sheet's. `prefix` comes before every path,
    with its slash.
    """
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        for path, kind, size, digest, version_id, etag in zip(
            raw_paths(batch).to_pylist(), *columns, strict=True
        ):
            if kind == "f" and size:
                pin = Pin(prefix + path, version_id, etag, size)
                yield Wanted(algorithm, digest, size), partial(client.read, pin)
