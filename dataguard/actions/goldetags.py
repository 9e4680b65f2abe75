"""Which contents gold has in buckets, by their etags: equal etags need no reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dataguard.actions.objectplaces import access_of
from dataguard.core.columns import numbers, raw_paths
from dataguard.core.numeric import np
from dataguard.core.objectplaces import is_objects, prefix_of
from dataguard.errors import DataguardError
from dataguard.model.dataclass import dataclass
from dataguard.model.dataset import LocationState
from dataguard.model.objects import Pin
from dataguard.stores.objectclient import ObjectClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.dataset import Location, Version

__all__ = ["GoldEtags", "GoldRow", "gold_etags", "has_digest_etags", "is_digest"]

_DIGITS = 32
_OWN_KEYS = "AES256"


class GoldRow(NamedTuple):
    """One file of gold: the number of its version in the index, and its row in the manifest."""

    version: int
    row: int


@dataclass(frozen=True, slots=True)
class GoldEtags:
    """Gold's objects by the mark of their etag, ascending; 25 bytes each.

    `unknown` are the sizes, ascending, of which some of gold has no etag to compare with: it lies
    in directories, was uploaded in parts, or is encrypted with keys of its own.
    """

    marks: np.ndarray
    sizes: np.ndarray
    versions: np.ndarray
    rows: np.ndarray
    unknown: np.ndarray

    def find(self, mark: int, size: int) -> GoldRow | None:
        """Return the first file of gold with this etag and size."""
        at = int(np.searchsorted(self.marks, mark, "left"))
        while at < len(self.marks) and self.marks[at] == mark:
            if self.sizes[at] == size:
                return GoldRow(int(self.versions[at]), int(self.rows[at]))
            at += 1
        return None

    def is_unknown(self, size: int) -> bool:
        """Whether an object of a size may be gold's, whatever its etag is."""
        at = int(np.searchsorted(self.unknown, size))
        return at < len(self.unknown) and bool(self.unknown[at] == size)


def gold_etags(ctx: Context, index: GoldIndex) -> GoldEtags:
    """Return the etags of the versions of an index, those to be named first before the others.

    Raises:
        CatalogDamagedError: a manifest or a sheet is damaged.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    unknown = [np.empty(0, np.int64)]
    for number, version in enumerate(index.versions):
        location = _in_bucket(ctx, version)
        known = location is not None and _comparable(ctx, version, location)
        sheet = None if location is None else location.sheet
        first = 0
        for batch in _entries(ctx, version, sheet):
            sizes = numbers(batch.column("size"))
            plain = _plain(batch) if known else np.zeros(len(sizes), dtype=bool)
            unknown.append(np.unique(sizes[~plain]))
            if sheet is not None:  # etags of parts are the same where the parts were
                marks = numbers(batch.column("inode"))
                count = np.full(len(sizes), number)
                parts.append((marks, sizes, count, np.arange(first, first + len(sizes))))
            first += batch.num_rows
    columns = [
        np.concatenate([np.empty(0, np.int64), *(part[i] for part in parts)]) for i in range(4)
    ]
    order = np.lexsort((columns[3], columns[2], columns[0]))
    marks, sizes, versions, rows = (column[order] for column in columns)
    return GoldEtags(marks, sizes, versions, rows, np.unique(np.concatenate(unknown)))


def has_digest_etags(client: ObjectClient, pin: Pin) -> bool:
    """Whether an object's etag is the digest of its content, as it is without keys of its own."""
    reply = client.ask(client.heading(pin))
    encrypted = reply.headers.get("x-amz-server-side-encryption", _OWN_KEYS)
    own = "x-amz-server-side-encryption-customer-algorithm" in reply.headers
    reply.close()
    return encrypted == _OWN_KEYS and not own


def is_digest(etag: str | None) -> bool:
    """Whether an etag looks like a digest of the whole content, not of parts."""
    return etag is not None and len(etag) == _DIGITS and "-" not in etag


def _in_bucket(ctx: Context, version: Version) -> Location | None:
    for one in ctx.catalog.locations(version.dataset, version.number):
        if one.state is LocationState.ACTIVE and is_objects(one.place) and one.sheet is not None:
            return one
    return None


def _entries(ctx: Context, version: Version, sheet: str | None) -> Iterator[pa.RecordBatch]:
    if sheet is None:
        return ctx.manifests.read(version.root, version.algorithm)
    return ctx.manifests.read_with_sheet(version.root, version.algorithm, sheet)


def _comparable(ctx: Context, version: Version, location: Location) -> bool:
    """Whether etags of a location are digests, as one of its objects shows; False: nobody knows."""
    client = ObjectClient(access_of(ctx, location.place))
    try:
        pin = _sample(ctx, version, location)
        return pin is not None and has_digest_etags(client, pin)
    except DataguardError:  # then everything of these sizes is read
        return False
    finally:
        client.close()


def _sample(ctx: Context, version: Version, location: Location) -> Pin | None:
    for batch in _entries(ctx, version, location.sheet):
        for at in np.flatnonzero(_plain(batch))[:1].tolist():
            path = raw_paths(batch)[at].as_py()
            names = ("version_id", "etag", "size")
            version_id, etag, size = (batch.column(name)[at].as_py() for name in names)
            return Pin(prefix_of(location.place) + path, version_id, etag, size)
    return None


def _plain(batch: pa.RecordBatch) -> np.ndarray:
    etags = batch.column("etag").to_pylist()
    return np.fromiter(map(is_digest, etags), np.bool_, len(etags))
