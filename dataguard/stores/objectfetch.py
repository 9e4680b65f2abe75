"""Contents of pinned objects, read for the node cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dataguard.model.cache import Wanted
from dataguard.stores.objectrows import pins_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.cache import Fetch
    from dataguard.model.digest import Algorithm
    from dataguard.model.objects import Pin
    from dataguard.stores.objectclient import ObjectClient

__all__ = ["object_contents", "pinned"]


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
        digests = batch.column("digest").to_pylist()
        for pin, digest in zip(pins_of(batch, prefix), digests, strict=True):
            if pin.size:
                yield Wanted(algorithm, digest, pin.size), pinned(client, pin)
