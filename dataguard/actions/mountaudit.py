"""Whether the mounts of audited versions are still what the catalog says of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.recording import record_findings
from dataguard.core.exemptions import exempted
from dataguard.core.mountplan import status
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code, Finding, FindingState
from dataguard.model.mount import MountState
from dataguard.model.mountpoint import MountStatus
from dataguard.mounts import mountinfo
from dataguard.mounts.view import look

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.actions.context import Context
    from dataguard.model.dataset import Version
    from dataguard.model.mount import MountRecord
    from dataguard.mounts.mountinfo import MountTable

__all__ = ["MountAudit", "audit_mounts"]

_GOOD = (MountStatus.LIVE, MountStatus.DECLARED, MountStatus.LINK)
_CODES = (Code.DG401, Code.DG402)


@dataclass(frozen=True, slots=True)
class MountAudit:
    """What became of mounts; `unreadable` are those that could not be looked at."""

    findings: tuple[Finding, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def audit_mounts(ctx: Context, versions: Iterable[Version], *, dry_run: bool = False) -> MountAudit:
    """Look at the mounts of these versions on this host; record what is wrong, resolve what is not.

    Nothing is tried through a mount. What others mounted where this user cannot look is left out:
    their audits, and root's, tell.

    Raises:
        DataguardError: `/proc/self/mountinfo` cannot be read.
    """
    known = {(version.dataset, version.number) for version in versions}
    every = ctx.catalog.mounts(host=ctx.process.host, removed=True)
    records = [one for one in every if (one.dataset, one.version) in known]
    if not records:
        return MountAudit()
    table = mountinfo.read()
    active = [one for one in records if one.state is MountState.ACTIVE]
    hidden = [one for one in active if not _can_look(one)]
    found = [
        finding
        for record in active
        if record not in hidden
        for finding in _findings(ctx, record, table)
    ]
    if not dry_run:
        record_findings(ctx, found)
        _resolve(ctx, records, {os.fsencode(one.target) for one in hidden}, found)
    own = [one for one in hidden if ctx.actor.uid in (0, one.actor.uid)]
    return MountAudit(
        tuple(found), tuple(_unreadable(os.fsencode(record.target)) for record in own)
    )


def _findings(ctx: Context, record: MountRecord, table: MountTable) -> Iterator[Finding]:
    now = status(record, look(record.target, table=table), ctx.process.boot_id)
    if now in _GOOD:
        return
    code = Code.DG402 if now is MountStatus.WRITABLE else Code.DG401
    moment = ctx.clock()
    found = Finding(
        code=code,
        severity=ctx.policy.severity_of(code),
        path=os.fsencode(record.target),
        message=f"the {record.backend} mount of {record.dataset}@{record.version} is {now}",
        first_seen=moment,
        last_seen=moment,
        dataset=record.dataset,
        version=record.version,
        evidence={"backend": str(record.backend), "host": record.host, "status": str(now)},
    )
    yield exempted(ctx.policy, found)


def _resolve(
    ctx: Context, records: Iterable[MountRecord], hidden: set[bytes], found: Iterable[Finding]
) -> None:
    """Resolve what was found at these mounts before and is not there any more."""
    seen = {one.id for one in found}
    targets: dict[tuple[str, int], set[bytes]] = {}
    for record in records:
        targets.setdefault((record.dataset, record.version), set()).add(os.fsencode(record.target))
    for (dataset, version), paths in targets.items():
        gone = [
            one
            for one in _open(ctx, dataset, version)
            if one.id not in seen and one.path in paths - hidden
        ]
        if gone:
            with ctx.catalog.transaction() as tx:
                tx.resolve_unseen(gone, "the mount is as it should be, or was taken away")


def _open(ctx: Context, dataset: str, version: int) -> Iterator[Finding]:
    """Yield the open findings about mounts of this host."""
    for code in _CODES:
        for one in ctx.catalog.findings(
            dataset=dataset, version=version, states=(FindingState.OPEN,), code=code
        ):
            if one.evidence.get("host", ctx.process.host) == ctx.process.host:
                yield one


def _can_look(record: MountRecord) -> bool:
    try:
        os.lstat(record.target)
    except PermissionError:
        return False
    except OSError:
        return True  # what that means for the mount, its status says
    return True


def _unreadable(target: bytes) -> Unreadable:
    return Unreadable(target, Obstacle.DENIED, "the mount could not be looked at")
