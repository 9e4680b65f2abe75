"""Result of `unmount`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.mount import Backend
    from dataguard.model.mountpoint import MountStatus

__all__ = ["UnmountResult"]


@dataclass(frozen=True, slots=True)
class UnmountResult:
    """What `unmount` did with one mount.

    `status` is what the record was worth before. `left` is what stays at the target because it is
    not ours, in words, or None.
    """

    name: str
    dataset: str
    version: int
    target: str
    backend: Backend
    status: MountStatus
    left: str | None = None
    dry_run: bool = False
