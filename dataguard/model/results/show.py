"""Result of `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.audit import AuditRecord
    from dataguard.model.canary import CanaryRecord
    from dataguard.model.dataset import Location, Tag, Version
    from dataguard.model.lease import Lease
    from dataguard.model.mount import MountRecord
    from dataguard.model.run import Run
    from dataguard.model.seal import SealView

__all__ = ["VersionDetails"]


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """Result of `show`. `canaries` are the newest of each credential, at places in buckets."""

    version: Version
    locations: tuple[Location, ...]
    tags: tuple[Tag, ...]
    mounts: tuple[MountRecord, ...]
    guarantee: str
    last_audit: AuditRecord | None
    runs: tuple[Run, ...]
    open_findings: int
    seals: tuple[SealView, ...] = ()
    leases: tuple[Lease, ...] = ()
    canaries: tuple[CanaryRecord, ...] = ()
