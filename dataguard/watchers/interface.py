"""What every source of events offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.watch import Coverage, Sighting, Source

__all__ = ["Watcher"]


class Watcher(Protocol):
    """A source of events for some roots.

    Laws, tested for each implementation: every change below a root after `start` returned and
    before `read` is called is reported by `read` as an event on the path or on a directory above
    it, or is covered by a gap; what a rename below one root took away is told by `renamed_from`
    alone, and a directory that appears may hold anything by then; `read` never blocks longer than
    asked; after `close` no thread, descriptor or mark is left, and `close` twice is `close` once.
    A source that has gone blind says so by a gap within five seconds of `read` being called,
    whatever made it so.
    """

    @property
    def name(self) -> Source:
        """What users call it."""

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""

    def start(self, roots: Sequence[bytes]) -> tuple[Coverage, ...]:
        """Begin to watch absolute directories; what happens from now on will be reported.

        Raises:
            StoreUnreachableError: a root is not there.
            ConflictError: the kernel refuses.
        """

    def read(self, timeout: float) -> tuple[Sighting, ...]:
        """Return what was seen, waiting at most `timeout` seconds for the first; () is nothing."""

    def crowd(self, *, crowded: bool) -> None:
        """Say that whoever reads has enough for now, or no longer.

        A source that keeps events in less room than `read` returns them in keeps them back
        meanwhile, as far as it has that room. Gaps come all the same.
        """

    def close(self) -> None:
        """Stop watching and give everything back."""
