"""Doing the steps of a mount plan, one mount at a time, so that a crash can be made good."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.mountproof import prove, state_of
from dataguard.actions.resolution import check_usable
from dataguard.actions.unmount import save, take_down
from dataguard.core.mountplan import StepKind
from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, DataguardError
from dataguard.model.mount import Backend, Guarantee, MountRecord, MountState, is_fetched
from dataguard.model.results.mount import MountResult
from dataguard.mounts import points
from dataguard.mounts.choose import backend_of
from dataguard.mounts.view import look
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataguard.actions.context import Context
    from dataguard.core.mountplan import MountStep, Wanted
    from dataguard.model.finding import Finding
    from dataguard.model.workspace import LockEntry
    from dataguard.mounts.choose import Choice

__all__ = ["AS_IT_IS", "Choices", "perform", "planned"]

Choices = Mapping[str, "Choice"]
"""The backend of each mount, by its name."""

AS_IT_IS = (StepKind.KEEP, StepKind.ADOPT)
"""Steps that leave the mount that is there."""


def planned(ctx: Context, steps: Iterable[MountStep], choices: Choices) -> tuple[MountResult, ...]:
    """Return what `perform` would give, as far as that can be told before."""
    results = []
    for step in steps:
        if step.wanted is not None:
            there = step.record if step.kind in AS_IT_IS else None
            record = _intention(ctx, step.wanted) if there is None else there
            result = _result(step, record, step.wanted.entry, (), choices)
            result = replace(result, pinned=_is_pinned(ctx, step.wanted.entry))
            results.append(replace(result, created=False))
    return tuple(results)


def perform(ctx: Context, step: MountStep, choices: Choices) -> MountResult | None:
    """Do one step, probe what it gives and record that; None where it only took something away.

    A mount that lets writes pass is taken down again, and the result carries the findings.

    Raises:
        ConflictError: something is in the way, or the kernel refuses.
        StoreUnreachableError: the source is not there.
    """
    wanted = step.wanted
    if wanted is None:
        _undo(ctx, step)
        return None
    if step.kind is StepKind.KEEP and step.record is not None:
        record = step.record
    elif step.kind is StepKind.ADOPT and step.record is not None:
        record = _adopted(step.record)
    else:
        _undo(ctx, step)
        record = _made(ctx, wanted)
    proved, findings = prove(ctx, record)
    if findings:
        with ctx.catalog.transaction() as transaction:
            transaction.record_findings(findings)
        take_down(ctx, proved)
    elif proved != step.record:
        save(ctx, proved)
    result = _result(step, proved, wanted.entry, findings, choices)
    return replace(result, pinned=_is_pinned(ctx, wanted.entry))


def _undo(ctx: Context, step: MountStep) -> None:
    if step.record is None:
        return
    left = take_down(ctx, step.record)
    if step.record.backend is Backend.CONTAINER:
        return  # what the runtime mounted is not in the way of its next record
    if left is not None and step.wanted is not None:
        raise ConflictError(f"cannot mount at {step.wanted.target}: {left}")


def _adopted(record: MountRecord) -> MountRecord:
    """Return the record of a mount that a crashed command made but did not record."""
    stack = look(record.target).stack
    mount_id = stack[-1].mount_id if stack else None
    return replace(record, state=MountState.ACTIVE, mount_id=mount_id)


def _made(ctx: Context, wanted: Wanted) -> MountRecord:
    """Mount, recording the intention first: its identity lets a crash be recognised."""
    if wanted.backend is Backend.CAS:
        from dataguard.actions.cachedtree import filled  # noqa: PLC0415  for mounts of a cache

        wanted = filled(ctx, wanted)
    elif is_fetched(wanted.backend, wanted.entry.location):
        from dataguard.actions.servedtree import described  # noqa: PLC0415  for objects

        wanted = described(ctx, wanted)
    record = _intention(ctx, wanted)
    with ctx.catalog.transaction() as tx:
        # Whoever withdraws it at the same time sees this record, or is seen here.
        check_usable(tx.version(record.dataset, record.version))
        tx.put_mount(record)
    try:
        if record.backend is not Backend.CONTAINER:  # whose runtime made the mount point too
            points.make_parents(os.path.join(record.workspace, workspaces.DATA), record.target)
        backend = backend_of(record.backend, state=state_of(ctx))
        made = backend.make(_shown(ctx, record), record.target)
    except DataguardError:
        with suppress(ConflictError):  # then the record says `making`, and the next command tries
            take_down(ctx, record)
        raise
    return replace(
        record,
        state=MountState.ACTIVE,
        mount_id=made.mount_id,
        root_device=made.root_device,
        root_inode=made.root_inode,
    )


def _shown(ctx: Context, record: MountRecord) -> str:
    """Return the path of what a backend is to show."""
    if is_fetched(record.backend, record.source):
        from dataguard.actions.servedtree import description_of  # noqa: PLC0415  for objects

        return description_of(ctx, record)
    if record.backend is not Backend.CAS:
        return record.source
    from dataguard.actions.cachedtree import image_of  # noqa: PLC0415  as above

    return image_of(ctx, record)


def _intention(ctx: Context, wanted: Wanted) -> MountRecord:
    entry = wanted.entry
    return MountRecord(
        workspace=wanted.workspace,
        name=entry.name,
        dataset=entry.dataset,
        version=entry.version,
        source=entry.location,
        target=wanted.target,
        backend=wanted.backend,
        guarantee=wanted.guarantee,
        state=MountState.MAKING,
        host=ctx.process.host,
        created=ctx.clock(),
        actor=ctx.actor,
        root_device=wanted.device,
        root_inode=wanted.inode,
        boot_id=ctx.process.boot_id,
    )


def _result(
    step: MountStep,
    record: MountRecord,
    entry: LockEntry,
    findings: tuple[Finding, ...],
    choices: Choices,
) -> MountResult:
    weaker = record.guarantee is not Guarantee.ENFORCED or is_fetched(record.backend, record.source)
    return MountResult(
        name=record.name,
        dataset=record.dataset,
        version=record.version,
        root=str(entry.root),
        source=record.source,
        target=record.target,
        backend=record.backend,
        guarantee=Guarantee.NONE if findings else record.guarantee,
        probe=() if record.probe is None else record.probe.steps,
        created=step.kind is not StepKind.KEEP and not findings,
        step=step.kind,
        findings=findings,
        weaker_because=choices[entry.name].weaker_because if weaker else None,
    )


def _is_pinned(ctx: Context, entry: LockEntry) -> bool | None:
    if not is_objects(entry.location):
        return None
    known = ctx.catalog.locations(entry.dataset, entry.version)
    found = (one.objects for one in known if one.place == entry.location)
    return any(one is not None and one.pinned for one in found)
