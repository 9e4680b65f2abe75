"""Looks at one place in a bucket: which keys are not as they were pinned; reads no object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dataguard.actions.objectplaces import store_at
from dataguard.core.columns import flag_column, raw_paths
from dataguard.core.objectchanges import changes, version_rows
from dataguard.core.objectplaces import prefix_of
from dataguard.core.objectverdicts import ObjectChange, Seen, VersionRow, verdict
from dataguard.errors import ConflictError, DeniedError, NotFoundError, StoreUnreachableError
from dataguard.model.digest import DigestPlan
from dataguard.stores.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.core.verdicts import Difference
    from dataguard.model.dataset import Location, Version

__all__ = ["BucketLook"]


class BucketLook:
    """Compares a version with its place in a bucket; asks no catalog, so any thread may do it.

    `listed` counts the rows of listings so far.
    """

    def __init__(self, ctx: Context, version: Version, location: Location) -> None:
        """Ask the server for nothing yet.

        Raises:
            UsageError: the extra is not installed, or an endpoint is no URL.
        """
        self._ctx, self._version, self._sheet = ctx, version, location.sheet
        self._store = store_at(ctx, location, version.exclude)
        self._client = self._store.client
        self._prefix = prefix_of(location.place)
        able = self._store.capabilities
        self._tells_versions = able.versions_listed and able.ordered
        self._lookup: Lookup | None = None
        self.listed = 0

    def all(self) -> Iterator[Difference]:
        """Yield what differs below the prefix, in key order.

        Raises:
            CatalogDamagedError: manifest or sheet cannot be trusted.
            NotFoundError: the bucket is gone.
            StoreUnreachableError: the listing was denied, or could not be completed.
        """
        if self._tells_versions:
            found: Iterator[Difference | None] = changes(
                self._expected(), self._versions(), self._prefix
            )
        else:
            found = self._confirmed(changes(self._expected(), self._objects(), b""))
        try:
            yield from self._wanted(found)
        except ValueError as err:
            raise StoreUnreachableError(
                f"{self._store.place}: {err}",
                hint="its answers cannot be compared; report the kind of server",
            ) from err

    def at(self, paths: Sequence[bytes]) -> Iterator[Difference]:
        """Yield what differs at some paths, which are in order: each key is asked for by itself.

        Raises:
            CatalogDamagedError: as `all`.
            NotFoundError: as `all`.
            StoreUnreachableError: as `all`.
        """
        pinned = self._pinned(paths)
        yield from self._wanted(self._judged(path, pinned.get(path)) for path in paths)

    def _expected(self) -> Iterator[pa.RecordBatch]:
        root, algorithm = self._version.root, self._version.algorithm
        if self._sheet is None:
            raise StoreUnreachableError(
                f"{self._store.place}: no versions were recorded of its objects",
                hint=f"dataguard register {self._version.dataset} {self._store.place}",
            )
        return self._ctx.manifests.read_with_sheet(root, algorithm, self._sheet)

    def _versions(self) -> Iterator[pa.RecordBatch]:
        for page in self._client.list_versions(self._prefix):
            self.listed += page.num_rows
            yield page

    def _objects(self) -> Iterator[pa.RecordBatch]:
        for piece in self._store.listed(DigestPlan(self._version.algorithm)):
            entries = piece.entries
            self.listed += entries.num_rows
            yield _as_listing(entries)

    def _wanted(self, found: Iterable[Difference | None]) -> Iterator[Difference]:
        """Leave out what is new and excluded."""
        for one in found:
            if one is None:
                continue
            is_new = one.evidence["change"] == ObjectChange.CREATED
            if not (is_new and self._store.excludes(one.path)):
                yield one

    def _confirmed(self, found: Iterable[Difference]) -> Iterator[Difference | None]:
        """Ask for each key by itself: such a listing tells no versions, and may lose keys."""
        for one in found:
            yield self._judged(one.path, self._pinned([one.path]).get(one.path))

    def _pinned(self, paths: Sequence[bytes]) -> dict[bytes, VersionRow]:
        if self._lookup is None:
            version = self._version
            manifests = self._ctx.manifests
            self._lookup = Lookup(manifests, version.root, version.algorithm, self._sheet)
        found: dict[bytes, VersionRow] = {}
        for batch in self._lookup.at(paths):
            found |= zip(raw_paths(batch).to_pylist(), version_rows(batch), strict=True)
        return found

    def _judged(self, path: bytes, pinned: VersionRow | None) -> Difference | None:
        key = self._prefix + path
        seen = self._listed_at(key, pinned) if self._tells_versions else self._asked(key, pinned)
        return verdict(path, pinned, seen)

    def _listed_at(self, key: bytes, pinned: VersionRow | None) -> Seen | None:
        """Return what a listing of the versions of one key tells."""
        newest, kept = None, False
        for page in self._client.list_versions(key):
            keys = page.column("key").to_pylist()
            count = keys.count(key)
            self.listed += count
            for row in version_rows(page.slice(0, count)):
                newest = newest or row
                kept = kept or (pinned is not None and row.version_id == pinned.version_id)
            if count < len(keys):  # longer keys follow
                break
        return None if newest is None else Seen(newest, kept)

    def _asked(self, key: bytes, pinned: VersionRow | None) -> Seen | None:
        """Return what an object, and the version that was pinned, tell of themselves."""
        newest = self._head(key, None)
        if pinned is None or not pinned.is_fixed:
            return None if newest is None else Seen(newest, None)
        if newest is not None and newest.version_id == pinned.version_id:
            return Seen(newest, kept=True)
        try:
            kept: bool | None = self._head(key, pinned.version_id) is not None
        except (DeniedError, ConflictError):
            kept = None
        if newest is None:
            hidden = VersionRow(None, None, None, None, is_marker=True)
            return None if kept is False else Seen(hidden, kept)
        return Seen(newest, kept)

    def _head(self, key: bytes, version_id: str | None) -> VersionRow | None:
        try:
            found = self._client.head(key, version_id)
        except NotFoundError:
            return None
        moment = _milliseconds(found.last_modified)
        return VersionRow(found.version_id, found.etag, found.size, moment)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _as_listing(entries: pa.RecordBatch) -> pa.RecordBatch:
    """Return entries that were listed as rows of a listing: the newest, and no versions told."""
    count = entries.num_rows
    made = {
        "key": raw_paths(entries),
        "is_latest": flag_column(b"\1" * count),
        "is_delete_marker": flag_column(bytes(count)),
        "version_id": pa.nulls(count, pa.string()),
    }
    made |= {name: entries.column(name) for name in ("size", "etag", "last_modified")}
    return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))
