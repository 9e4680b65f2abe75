"""A store whose scan began before it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.span import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.span import Span
    from dataguard.stores.interface import Scanned, Store

__all__ = ["BegunStore"]


class BegunStore:
    """Another store, the first whole scan of which, contents read, begins when this is made."""

    def __init__(self, store: Store, plan: DigestPlan) -> None:
        self.place = store.place
        self._store = store
        self._plan = plan
        self._begun: Iterator[Scanned] | None = store.scan(plan, read=True)

    def filesystem(self) -> FileSystem | None:
        """Return what baselines depend on."""
        return self._store.filesystem()

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry in a span of paths: what was begun, if this is that."""
        begun = self._begun
        if begun is not None and read and span == WHOLE and plan == self._plan:
            self._begun = None
            return begun
        return self._store.scan(plan, read=read, span=span)

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at these paths afresh."""
        return self._store.read(entries, plan)
