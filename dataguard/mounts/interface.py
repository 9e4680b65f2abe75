"""What every way of making a version visible offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dataguard.model.mount import Backend, Guarantee, MountRecord
    from dataguard.model.mountpoint import Made

__all__ = ["MountBackend"]


class MountBackend(Protocol):
    """A way of making a directory visible at another path.

    Laws, tested for each implementation: `undo` after `make` leaves nothing at the target but an
    empty directory at most; `undo` twice is `undo` once; neither touches what others put there.
    """

    @property
    def name(self) -> Backend:
        """What users call it."""

    @property
    def guarantee(self) -> Guarantee:
        """What it promises."""

    def unavailable(self) -> str | None:
        """Return why it cannot work in this process, or None where it can."""

    def make(self, source: str, target: str) -> Made:
        """Make `source` visible at `target`, whose parent exists, in one step.

        Raises:
            ConflictError: the target is in use, or the kernel refuses.
            StoreUnreachableError: the source is not there.
        """

    def undo(self, record: MountRecord) -> None:
        """Take away what `make` made; nothing there is fine.

        Raises:
            ConflictError: it cannot be taken away without touching what others mounted.
        """
