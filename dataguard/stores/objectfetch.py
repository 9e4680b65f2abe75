"""Contents of pinned objects, read for the node cache."""

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

__all__ = ["object_contents", "pinned"]

_PINS = ("version_id", "etag")


def pinned(client: ObjectClient, pin: Pin) -> Fetch:
    """Return what reads one content of one key, from an offset on, and no other content."""
    return partial(client.read, pin)


def object_contents(
    client: ObjectClient, prefix: bytes, batches: Iterable[pa.RecordBatch], algorithm: Algorithm
) -> Iterator[tuple[Wanted, Fetch]]:
    """Yield the content of each object that is not empty, with what reads it from its bucket.

    `batches` have the columns of a manifest and of the location's sheet, the paths being the keys
    below `prefix`. An object without a version id is read only while it has its etag.
    """
    for batch in batches:
        names = ("size", "digest", *_PINS)
        columns = (batch.column(name).to_pylist() for name in names)
        rows = zip(raw_paths(batch).to_pylist(), *columns, strict=True)
        for path, size, digest, version_id, etag in rows:
            if size:
                pin = Pin(prefix + path, version_id, etag, size)
                yield Wanted(algorithm, digest, size), pinned(client, pin)
