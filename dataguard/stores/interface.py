"""What a store is: a place whose entries can be scanned and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from dataguard.model.dataclass import dataclass
from dataguard.model.span import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from dataguard.model.dataset import FileSystem
    from dataguard.model.digest import DigestPlan
    from dataguard.model.entry import Unreadable
    from dataguard.model.span import Span

__all__ = ["Scanned", "Spread", "Store"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Spread(Protocol):
    """How a store has its work done: an engine's `map`."""

    def __call__(
        self,
        task: Callable[[Unit], Result],
        units: Iterable[Unit],
        more: Callable[[Unit, Result], Iterable[Unit]] | None = None,
        /,
    ) -> Iterator[tuple[Unit, Result]]:
        """Yield each unit with `task(unit)`, in order, each followed by what it left over."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A piece of a scan.

    `entries` has the observed schema, in path order after all earlier pieces; `digest` is null
    for files that were not read. `unreadable` lies among or before these entries. Where not
    every entry is told, `passed` counts the files left out, and `through` sorts after all that was
    looked at and before what was not. `by_checksum` counts the files whose digest is a checksum
    that the server keeps: they were not read.
    """

    entries: pa.RecordBatch
    unreadable: tuple[Unreadable, ...]
    files_read: int
    bytes_read: int
    passed: int = 0
    through: bytes = b""
    by_checksum: int = 0


class Store(Protocol):
    """A place with entries.

    Laws every store keeps (see `tests/contracts/store.py`): entries come once, in bytewise path
    order; what cannot be read comes as `Unreadable`, never as an exception or in silence; nothing
    at the place changes; memory does not grow with the number of entries. Scans of spans that
    follow one another give, one after another, the entries of the whole scan.
    """

    place: str

    def scan(self, plan: DigestPlan, *, read: bool, span: Span = WHOLE) -> Iterator[Scanned]:
        """Yield every entry in a span of paths; file contents are digested only where `read`.

        What holds unknown paths (a directory that cannot be listed) comes as `Unreadable` with
        every span in which one of them may lie.

        Raises:
            NotFoundError: the place does not exist.
            StoreUnreachableError: the place does not answer.
        """

    def read(self, entries: Iterable[pa.RecordBatch], plan: DigestPlan) -> Iterator[Scanned]:
        """Yield the entries at the paths of these batches afresh, contents digested."""

    def filesystem(self) -> FileSystem | None:
        """Return what baselines depend on; None where the store has no file system."""
