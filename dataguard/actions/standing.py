"""Whether a version may be used: withdraw, quarantine, release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.leases import leases_of, tidy, unjudged
from dataguard.core.clearance import standing_damage
from dataguard.core.leases import lease_hint, runs_since_good_audit
from dataguard.core.leasewords import lease_words
from dataguard.errors import ConflictError, UsageError
from dataguard.model.audit import AuditLevel
from dataguard.model.dataset import LocationState, VersionState
from dataguard.model.reference import Reference
from dataguard.model.results.standing import StandingResult
from dataguard.model.run import RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.actions.context import Context
    from dataguard.catalog.reading import Reader
    from dataguard.catalog.writing import Transaction
    from dataguard.model.audit import AuditRecord
    from dataguard.model.dataset import Version
    from dataguard.model.lease import Lease

__all__ = ["quarantine", "release", "withdraw"]


def withdraw(
    ctx: Context, reference: str, reason: str, *, force: bool = False, dry_run: bool = False
) -> StandingResult:
    """Mark a version as not to be used any more; deletes nothing.

    Whoever begins to use it at the same time is either seen here, or sees it withdrawn: each
    records itself in a transaction in which it looks at what the other records.

    Raises:
        NotFoundError: the reference means nothing.
        ConflictError: it is mounted or read by a run, and `force` is off.
    """
    version = _resolved(ctx, reference, reason)
    if version.state is VersionState.QUARANTINED:
        raise ConflictError(
            f"{version.reference} is quarantined: {version.state_reason}",
            hint="a clean full audit and `dataguard release` come first",
        )
    result = _planned(ctx, version, VersionState.WITHDRAWN, reason)
    if not dry_run:
        tidy(ctx, version)
    if not force:
        _refuse_use(ctx, version, [one for one in result.leases if one.holds])
    if dry_run:
        return replace(result, dry_run=True)

    def check(tx: Transaction) -> None:
        seen = {one.key for one in result.leases}
        _refuse_use(ctx, version, [o for o in unjudged(ctx, tx, version) if o.key not in seen])

    return _recorded(ctx, version, result, check=None if force else check)


def quarantine(
    ctx: Context, reference: str, reason: str, *, dry_run: bool = False
) -> StandingResult:
    """Stop new mounts, gates and runs of a version; says who uses it now, and who may have.

    Those are the runs since it was last found good where they read it.

    Raises:
        NotFoundError: the reference means nothing.
    """
    version = _resolved(ctx, reference, reason)
    result = _planned(ctx, version, VersionState.QUARANTINED, reason)
    if dry_run:
        return replace(result, dry_run=True)
    tidy(ctx, version)
    return _recorded(ctx, version, result)


def release(ctx: Context, reference: str, reason: str, *, dry_run: bool = False) -> StandingResult:
    """Let a quarantined or withdrawn version be used again.

    A quarantined one needs a clean full audit that began after the quarantine. One that no place
    holds any more is superseded, not active.

    Raises:
        NotFoundError: the reference means nothing.
        ConflictError: it is neither, or there is no such audit.
    """
    version = _resolved(ctx, reference, reason)
    if version.state not in (VersionState.QUARANTINED, VersionState.WITHDRAWN):
        raise ConflictError(f"{version.reference} is {version.state}: there is nothing to release")
    if version.state is VersionState.QUARANTINED and not _is_cleared(ctx, version):
        raise ConflictError(
            f"{version.reference} has no clean full audit since its quarantine",
            hint=f"dataguard audit {version.reference} --level full",
        )
    result = _planned(ctx, version, _unblocked(ctx.catalog, version), reason)
    return replace(result, dry_run=True) if dry_run else _recorded(ctx, version, result)


def _resolved(ctx: Context, reference: str, reason: str) -> Version:
    """Return the version that is meant; a change of its standing must name it, with a reason."""
    if not reason.strip():
        raise UsageError("a reason is needed", hint="--reason 'labels are wrong'")
    return ctx.catalog.resolve(Reference.parse(reference))


def _is_cleared(ctx: Context, version: Version) -> bool:
    """Whether full audits since the quarantine end clean at every place that they looked at."""
    audits = [
        audit
        for audit in ctx.catalog.audits(version.dataset, version.number)
        if version.state_since is None or audit.started >= version.state_since
    ]
    newest: dict[str, AuditRecord] = {}
    for audit in audits:
        if audit.level is AuditLevel.FULL:
            newest.setdefault(audit.location, audit)
    clean = bool(newest) and all(audit.clean for audit in newest.values())
    return clean and standing_damage(audits) is None


def _planned(ctx: Context, version: Version, state: VersionState, reason: str) -> StandingResult:
    """Return what would be recorded, who uses the version now, and who may have read damage."""
    number = version.number
    used = ctx.catalog.runs(dataset=version.dataset, version=number)
    return StandingResult(
        dataset=version.dataset,
        version=number,
        root=str(version.root),
        state=str(state),
        previous_state=str(version.state),
        reason=reason,
        mounts=ctx.catalog.mounts(dataset=version.dataset, version=number),
        runs=tuple(one for one in used if one.state is RunState.RUNNING),
        leases=leases_of(ctx, version),
        runs_since_good_audit=tuple(
            runs_since_good_audit(used, ctx.catalog.audits(version.dataset, number), version)
        ),
    )


def _unblocked(records: Reader, version: Version) -> VersionState:
    """Return what a version is that nothing stands against."""
    found = records.locations(version.dataset, version.number)
    here = any(location.state is LocationState.ACTIVE for location in found)
    return VersionState.ACTIVE if here else VersionState.SUPERSEDED


def _refuse_use(ctx: Context, version: Version, leases: list[Lease]) -> None:
    """Refuse to withdraw what is in use.

    Raises:
        ConflictError: there is a lease.
    """
    if leases:
        ends = lease_hint(leases[0], ctx.process)
        forced = f"dataguard withdraw {version.reference} --reason WHY --force"
        raise ConflictError(
            f"{version.reference} is in use: {'; '.join(map(lease_words, leases))}",
            hint=f"{ends}; or all the same: {forced}",
        )


def _recorded(
    ctx: Context,
    before: Version,
    result: StandingResult,
    *,
    check: Callable[[Transaction], None] | None = None,
) -> StandingResult:
    """Record a standing, unless the version has another one by now than was looked at.

    Raises:
        ConflictError: it has; a quarantine must not be undone by a withdrawal that came with it.
            Or what `check` raises, in the same transaction.
    """
    state = VersionState(result.state)
    with ctx.catalog.transaction() as tx:
        now = tx.version(before.dataset, before.number)
        changed = now.state is not before.state
        if state in (VersionState.ACTIVE, VersionState.SUPERSEDED):
            # One that was quarantined once more needs an audit after that.
            changed = changed or now.state_since != before.state_since
            changed = changed or _unblocked(tx, before) is not state
        if changed:
            raise ConflictError(
                f"{before.reference} changed meanwhile: it is {now.state}",
                hint=f"look at it: dataguard show {before.reference}",
            )
        if check is not None:
            check(tx)
        tx.set_state(result.dataset, result.version, state, result.reason)
    return result
