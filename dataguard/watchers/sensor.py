"""What a source has to do for itself; what all sources share is in `watcher.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dataguard.model.watch import Coverage, Source
    from dataguard.watchers.outlet import Outlet

__all__ = ["Sensor"]


class Sensor(Protocol):
    """One way to learn of changes, used by one thread at a time.

    `open` comes first, `close` last, and it can be opened again after. What is seen goes into the
    outlet that `open` was given.
    """

    @property
    def source(self) -> Source:
        """What users call it."""

    @property
    def descriptor(self) -> int | None:
        """What becomes readable when there is something to take; None where nothing does."""

    @property
    def wait_s(self) -> float:
        """How soon it wants to work without anything to read; infinite where never."""

    def unavailable(self, root: bytes) -> str | None:
        """Return why it cannot watch a root from this process, or None where it can."""

    def open(self, outlet: Outlet, canary: bytes | None) -> bool:
        """Begin, with no root yet; return whether changes in the canary's directory will be told.

        Raises:
            ConflictError: the kernel refuses.
        """

    def add(self, root: bytes) -> Coverage:
        """Watch a root; what changes after this began is told.

        Raises:
            OSError: the root cannot be opened or marked.
        """

    def drop(self, root: bytes) -> None:
        """Forget a root that is not what it was."""

    def take(self) -> None:
        """Report what the kernel has to tell, as far as a second allows."""

    def check(self) -> tuple[bytes, ...]:
        """Do what is due once a second; return roots that the kernel no longer watches."""

    def close(self) -> None:
        """Give everything back; also where it was not opened."""
