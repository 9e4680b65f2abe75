"""The store of objects: each key below a prefix of a bucket is an entry, its bytes the path."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import prefix_of
from dataguard.errors import StoreUnreachableError
from dataguard.model.dataset import FileSystem
from dataguard.model.objects import Versioning
from dataguard.model.span import WHOLE
from dataguard.stores.interface import Scanned
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectread import ObjectUnit, has_checksum, look_unit, read_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.digest import DigestPlan
    from dataguard.model.objects import Capabilities
    from dataguard.model.span import Span
    from dataguard.stores.interface import Spread
    from dataguard.stores.s3access import Access
    from dataguard.stores.walk import Exclusion

__all__ = ["ObjectStore"]

_ROWS = 128
_BYTES = 32 << 20
_SORT_ROWS = 100_000

_EVERYWHERE = FileSystem("objects", shared=True, host="", device=0, fsid=0, tick_ns=0)
"""Etags and version ids mean the same to every host."""


class ObjectStore:
    """The objects below a prefix of a bucket.

    `by_checksum`: where the server keeps a checksum that is the digest asked for, objects are not
    read. `sorting` is a directory for what a server does not list in order.
    """

    def __init__(
        self,
        place: str,
        access: Access,
        capabilities: Capabilities,
        *,
        spread: Spread,
        sorting: str,
        excluded: Exclusion | None = None,
        by_checksum: bool = False,
    ) -> None:
        """Open nothing yet."""
        self.place = place
        self.client = ObjectClient(access)
        self.capabilities = capabilities
        self._prefix = prefix_of(place)
        self._spread = spread
        self._sorting = sorting
        self._excluded = _Excluded(excluded) if excluded is not None else None
        self._by_checksum = by_checksum

    def filesystem(self) -> FileSystem:
        """Return what baselines depend on: no host and no device."""
        return _EVERYWHERE

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every object below the prefix in a span of paths.

        Raises:
            NotFoundError: the bucket does not exist, or nothing was ever below the prefix.
            StoreUnreachableError: the server does not answer, or the listing has no end.
        """
        entries = self._entries(plan, span)
        if read:
            return self._read(entries, plan)
        if self._tells_versions:
            return (Scanned(one, (), 0, 0) for one in entries)
        return self._looked_at(entries, plan)

    def listed(self, plan: DigestPlan, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield what the listing alone tells of every object in a span of paths.

        Raises:
            NotFoundError, StoreUnreachableError: as `scan`.
        """
        return (Scanned(one, (), 0, 0) for one in self._entries(plan, span))

    def excludes(self, path: bytes) -> bool:
        """Whether a path is left out."""
        return self._excluded is not None and self._excluded(path)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield these entries of a scan afresh, contents digested: what they pin is read."""
        return self._read(entries, plan)

    @property
    def _tells_versions(self) -> bool:
        """Whether a listing has the version ids, or there are none."""
        able = self.capabilities
        return able.versions_listed or able.versioning in (Versioning.OFF, Versioning.UNKNOWN)

    def _looked_at(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Ask for the version of each object, where no listing tells them."""
        from dataguard.stores.objectrows import looked_at  # noqa: PLC0415  loads Arrow

        held: deque[pa.RecordBatch] = deque()
        for _, read in self._spread(look_unit, self._units(entries, plan, held)):
            yield looked_at(held.popleft(), read)

    def _entries(self, plan: DigestPlan, span: Span) -> Iterator[pa.RecordBatch]:
        from dataguard.stores.objectrows import entries_of  # noqa: PLC0415  loads Arrow

        if not self.capabilities.ordered:
            yield from self._sorted(plan, span)
            return
        pages = (page for page in self._pages(span) if page.num_rows)
        yield from self._checked(entries_of(page, self._prefix, plan) for page in pages)

    def _pages(self, span: Span) -> Iterator[pa.RecordBatch]:
        """Yield the rows of each page that lie in the span, as far as pages can."""
        from dataguard.stores.objectrows import within  # noqa: PLC0415  loads Arrow

        prefix = self._prefix
        for page in self._listing(prefix, after=prefix + span.after if span.after else b""):
            yield within(page, prefix, span, self._excluded)
            last = page.column("key")[page.num_rows - 1].as_py()
            if span.through is not None and last > prefix + span.through:
                return

    @property
    def _listing(self) -> Callable[..., Iterator[pa.RecordBatch]]:
        able = self.capabilities.versions_listed
        return self.client.list_versions if able else self.client.list_current

    def _sorted(self, plan: DigestPlan, span: Span) -> Iterator[pa.RecordBatch]:
        """Yield the entries of a server that walks directories, with what its pages may lose."""
        from dataguard.stores.objectfolders import NamedFolders, with_named  # noqa: PLC0415  rare
        from dataguard.stores.objectrows import entries_of, within  # noqa: PLC0415  loads Arrow
        from dataguard.stores.spill import SpillingSort  # noqa: PLC0415  few servers need it

        def entries(page: pa.RecordBatch) -> pa.RecordBatch:
            rows = within(page, self._prefix, span, self._excluded)
            return entries_of(rows, self._prefix, plan)

        os.makedirs(self._sorting, exist_ok=True)
        folders = NamedFolders(self.client, self._prefix)
        with SpillingSort(self._sorting, rows=_SORT_ROWS) as sorting:
            for page in self._listing(self._prefix):
                folders.look(page)
                sorting.add(entries(page))
            pieces = (
                one.slice(start, 1000)
                for one in sorting.sorted()
                for start in range(0, one.num_rows, 1000)
            )
            yield from with_named(pieces, entries(folders.rows()))

    def _checked(self, entries: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from dataguard.core.columns import raw_paths  # noqa: PLC0415  as above

        last: bytes | None = None
        for batch in entries:
            paths = raw_paths(batch)
            first = paths[0].as_py()
            if last is not None and first <= last:
                raise StoreUnreachableError(
                    f"{self.place}: the server does not list keys in order",
                    hint="its answers cannot be compared; report the kind of server",
                )
            last = paths[len(paths) - 1].as_py()
            yield batch

    def _read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        from dataguard.stores.objectrows import scanned  # noqa: PLC0415  loads Arrow

        held: deque[pa.RecordBatch] = deque()
        for _, read in self._spread(read_unit, self._units(entries, plan, held)):
            yield scanned(held.popleft(), read, plan)

    def _units(
        self, entries: Iterable[pa.RecordBatch], plan: DigestPlan, held: deque[pa.RecordBatch]
    ) -> Iterator[ObjectUnit]:
        """Yield what workers are given; the entries themselves wait here for what comes back."""
        from dataguard.stores.objectrows import in_steps, pins_of  # noqa: PLC0415  loads Arrow

        # Without a sign of such checksums nobody asks each object whether it has one.
        kept = self.capabilities.checksums
        by_checksum = self._by_checksum and has_checksum(plan.algorithms, kept)
        most = sys.maxsize if by_checksum else _BYTES  # hardly any is read
        for batch in entries:
            for part in in_steps(batch, _ROWS, most):
                held.append(part)
                pins = pins_of(part, self._prefix)
                access = self.client.access
                yield ObjectUnit(access, self._prefix, pins, plan.algorithms, by_checksum)


class _Excluded:
    """Whether a key is left out: it, or a folder above it, as in a tree of directories."""

    def __init__(self, excluded: Exclusion) -> None:
        self._excluded = excluded
        self._folder = b""
        self._is_out = False

    def __call__(self, path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        if folder != self._folder:  # neighbours in a listing share theirs
            self._folder, self._is_out = folder, self._is_folder_out(folder)
        return self._is_out or self._excluded(path, False)

    def _is_folder_out(self, folder: bytes) -> bool:
        parts = folder.split(b"/") if folder else []
        return any(
            self._excluded(b"/".join(parts[: count + 1]), True) for count in range(len(parts))
        )
