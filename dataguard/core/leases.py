"""Leases as they follow from the records of mounts and runs; none of their own could go stale."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dataguard.core.clearance import last_good
from dataguard.model.lease import Lease, LeaseKind, LeaseState, RunUse
from dataguard.model.mount import Backend
from dataguard.model.mountpoint import MountStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dataguard.model.actor import Process
    from dataguard.model.audit import AuditRecord
    from dataguard.model.dataset import Version
    from dataguard.model.mount import MountRecord
    from dataguard.model.run import Run

__all__ = [
    "ended_with_its_boot",
    "lease_hint",
    "mount_lease",
    "run_lease",
    "runs_since_good_audit",
]

_KERNEL_MOUNTS = (Backend.BIND, Backend.CAS, Backend.FUSE, Backend.OVERLAY)
_LIVE = {
    MountStatus.LIVE: "",
    MountStatus.DECLARED: "declared",
    MountStatus.LINK: "a link",
    MountStatus.WRITABLE: "the mount is writable",
}
_ELSEWHERE = "on another host, where this one cannot look"


def ended_with_its_boot(record: MountRecord, here: Process) -> bool:
    """Whether a mount went with the kernel that held it: its host was started again."""
    known = bool(record.boot_id and here.boot_id)
    return (
        record.backend in _KERNEL_MOUNTS
        and record.host == here.host
        and known
        and record.boot_id != here.boot_id
    )


def mount_lease(record: MountRecord, found: MountStatus | None, here: Process) -> Lease:
    """Return the lease of a mount; `found` is what its record is worth, None where nobody looked.

    A mount that is not seen may be there all the same in another mount namespace: it is unknown
    until its host was started again, or `unmount` was asked to forget it.
    """
    state, detail = _mount_state(record, found, here)
    return Lease(
        kind=LeaseKind.MOUNT,
        state=state,
        dataset=record.dataset,
        version=record.version,
        subject=record.target,
        user=record.actor.user,
        host=record.host,
        since=record.created,
        workspace=record.workspace,
        detail=detail,
        name=record.name,
        boot_id=record.boot_id,
        mount_id=record.mount_id,
    )


def run_lease(run: Run, version: Version, *, alive: bool | None, here: Process) -> Lease:
    """Return the lease that a running run holds on a version; `alive` tells of its process."""
    if alive is None:
        unseen = "its process cannot be seen from here"
        state = LeaseState.UNKNOWN
        detail = unseen if run.process.host == here.host else _ELSEWHERE
    else:
        state = LeaseState.LIVE if alive else LeaseState.ENDED
        detail = "" if alive else "its process is gone"
    return Lease(
        kind=LeaseKind.RUN,
        state=state,
        dataset=version.dataset,
        version=version.number,
        subject=run.id,
        user=run.actor.user,
        host=run.process.host,
        since=run.started,
        workspace=run.workspace,
        detail=detail,
        boot_id=run.process.boot_id,
        process=run.process.pid,
        process_started=run.process.started,
    )


def lease_hint(lease: Lease, here: Process) -> str:
    """Return how a use ends: a command, or where to look."""
    if lease.host != here.host:
        return f"look on {lease.host}"
    if lease.kind is LeaseKind.MOUNT:
        return shlex.join(["dataguard", "unmount", lease.name or "", "-w", lease.workspace or ""])
    return f"wait for run {lease.subject}, process {lease.process}"


def runs_since_good_audit(
    runs: Iterable[Run], audits: Collection[AuditRecord], version: Version
) -> Iterator[RunUse]:
    """Yield the runs that may have read a version after it was last found good where they read it.

    That is what went on after the newest clean full audit of the place had begun: what it read
    first may have changed while it read the rest.
    """
    for run in runs:
        for one in run.inputs:
            if (one.dataset, one.version) != (version.dataset, version.number):
                continue
            good = last_good(audits, one.location)
            if good is None or run.finished is None or run.finished >= good.started:
                yield _use(run, one.location)
                break


def _use(run: Run, location: str) -> RunUse:
    return RunUse(
        run=run.id,
        state=str(run.state),
        user=run.actor.user,
        host=run.actor.host,
        started=run.started,
        finished=run.finished,
        location=location,
        outputs=run.outputs,
    )


def _mount_state(
    record: MountRecord, found: MountStatus | None, here: Process
) -> tuple[LeaseState, str]:
    if record.host != here.host:
        return LeaseState.UNKNOWN, _ELSEWHERE
    if ended_with_its_boot(record, here):
        return LeaseState.ENDED, "its host was started again"
    if found is None:
        return LeaseState.UNKNOWN, "it could not be looked at"
    if found in _LIVE:
        return LeaseState.LIVE, _LIVE[found]
    if record.backend is Backend.FUSE and found is MountStatus.STALE:
        return LeaseState.ENDED, "its server is gone"
    return LeaseState.UNKNOWN, f"{found} as seen from here"
