"""`mount`: make versions visible in a workspace, prove that, and record it."""

from __future__ import annotations

import os
from functools import cache, partial
from typing import TYPE_CHECKING

from dataguard.actions.mounting import AS_IT_IS, perform, planned
from dataguard.actions.mountproof import state_of
from dataguard.actions.resolution import wanted_entries
from dataguard.actions.workspace import enrol
from dataguard.core.mountplan import StepKind, Wanted, plan
from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, PolicyError, StoreUnreachableError
from dataguard.model.mount import Backend, is_fetched
from dataguard.model.results.mount import MountReport
from dataguard.mounts.choose import AUTO, choose
from dataguard.mounts.container import shown_at
from dataguard.mounts.holding import holder
from dataguard.mounts.privilege import in_container
from dataguard.mounts.view import look, mounted_between
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.actions.mounting import Choices
    from dataguard.core.mountplan import MountStep
    from dataguard.model.mount import MountRecord
    from dataguard.model.reference import Reference
    from dataguard.model.results.mount import MountResult
    from dataguard.model.workspace import LockEntry, Workspace
    from dataguard.mounts.choose import Choice

__all__ = ["mount"]


def mount(
    ctx: Context,
    reference: Reference | None,
    *,
    workspace: str,
    name: str | None = None,
    backend: str = AUTO,
    best_effort: bool = False,
    dry_run: bool = False,
) -> MountReport:
    """Mount a version at `data/NAME` of a workspace; without a reference, all that is declared.

    The reference is resolved once, then declared and locked. A crash at any point is made good by
    the same command. What is mounted already is probed again.

    Raises:
        ConfigurationError: a workspace file makes no sense.
        ConflictError: the version may not be used, something is in the way at the target, the
            lock contradicts the catalog, or the named backend does not work here.
        NotFoundError: there is no such version or workspace.
        PolicyError: the backend promises less than the policy requires.
        StoreUnreachableError: no location of the version can be reached from this host.
    """
    directory = os.path.realpath(workspace)
    with workspaces.locked(directory):
        declared = workspaces.read(directory)
        contained = in_container()
        entries = wanted_entries(ctx, declared, reference, name, contained=contained)
        records = ctx.catalog.mounts(workspace=directory, host=ctx.process.host)
        # Some of what is mounted stays as it is.
        there = {(one.name, one.source): one.backend for one in records}
        chosen = cache(  # what this host can do is asked once
            partial(
                choose,
                backend,
                best_effort=best_effort,
                contained=contained,
                state=state_of(ctx),
            )
        )
        choices = {
            entry.name: chosen(
                cached=there.get((entry.name, entry.location)) is Backend.CAS,
                remote=is_objects(entry.location),
                uncached_because=_why_not_cached(ctx, entry, there) if backend == AUTO else None,
            )
            for entry in entries
        }
        steps = _steps(ctx, directory, entries, choices, records)
        _check(ctx, steps)
        workspaces.check_files(directory)
        if dry_run:
            return MountReport(directory, planned(ctx, steps, choices), dry_run=True)
        enrol(ctx, declared)
        asked = reference is not None
        results = tuple(_perform_all(ctx, declared, steps, choices, declare=asked))
    return MountReport(directory, results)


def _why_not_cached(
    ctx: Context, entry: LockEntry, there: Mapping[tuple[str, str], Backend]
) -> str | None:
    """Return why objects are not mounted from the node cache, beside what the host lacks."""
    found = there.get((entry.name, entry.location))
    if not is_objects(entry.location) or found is Backend.CAS:
        return None
    if found is Backend.FUSE:
        return "it is mounted already, by fuse"
    from dataguard.actions.servedtree import why_not_cached  # noqa: PLC0415  for objects

    return why_not_cached(ctx, entry)


def _perform_all(
    ctx: Context,
    workspace: Workspace,
    steps: tuple[MountStep, ...],
    choices: Choices,
    *,
    declare: bool,
) -> Iterator[MountResult]:
    """Perform the steps; what could be mounted is written into the workspace's files at once."""
    lock = dict(workspace.lock)
    for step in steps:
        result = perform(ctx, step, choices)
        if result is None or step.wanted is None:
            continue
        if not result.findings:
            entry = lock[result.name] = step.wanted.entry
            if declare:
                pinned = f"{entry.dataset}@{entry.version}"
                workspaces.write_declaration(workspace.directory, entry.name, pinned)
            workspaces.write_lock(workspace.directory, lock.values())
        yield result


def _steps(
    ctx: Context,
    directory: str,
    entries: tuple[LockEntry, ...],
    choices: Choices,
    records: tuple[MountRecord, ...],
) -> tuple[MountStep, ...]:
    wanted = [_wanted(ctx, directory, entry, choices[entry.name]) for entry in entries]
    targets = {w.target for w in wanted} | {record.target for record in records}
    return plan(wanted, records, {t: look(t) for t in targets}, ctx.process.boot_id)


def _wanted(ctx: Context, directory: str, entry: LockEntry, choice: Choice) -> Wanted:
    target = workspaces.target(directory, entry.name)
    if choice.backend.name is Backend.CONTAINER:
        target = shown_at(entry.location, target)
    device, inode = _identity(ctx, entry, choice.backend.name, target)
    return Wanted(
        entry=entry,
        workspace=directory,
        target=target,
        device=device,
        inode=inode,
        backend=choice.backend.name,
        guarantee=choice.backend.guarantee,
        insisted=choice.insisted,
    )


def _identity(ctx: Context, entry: LockEntry, backend: Backend, target: str) -> tuple[int, int]:
    """Return device and inode of what is shown, by which a mount of it is known again."""
    if backend is Backend.CAS:
        from dataguard.actions.cachedtree import identity  # noqa: PLC0415  for mounts of a cache

        return identity(ctx, entry)
    if is_fetched(backend, entry.location):
        from dataguard.actions.servedtree import served_identity  # noqa: PLC0415  for objects

        return served_identity(ctx, entry)
    source = target if backend is Backend.CONTAINER else entry.location
    try:
        shown = os.stat(source)
    except OSError as err:
        raise StoreUnreachableError(f"cannot open {source}: {err.strerror}") from err
    return shown.st_dev, shown.st_ino


def _check(ctx: Context, steps: tuple[MountStep, ...]) -> None:
    """Refuse the whole command before anything is done, where one step cannot be."""
    for step in steps:
        if step.wanted is not None:
            _check_place(step, step.wanted)
            _check_policy(ctx, step, step.wanted)


def _check_place(step: MountStep, wanted: Wanted) -> None:
    if step.kind is StepKind.BLOCKED:
        raise ConflictError(
            f"cannot mount at {wanted.target}: {step.reason}", hint=f"ls -ld {wanted.target}"
        )
    if step.kind in AS_IT_IS or wanted.backend is Backend.CONTAINER:
        return
    data = os.path.join(wanted.workspace, workspaces.DATA)
    between = mounted_between(data, wanted.target)
    if between is not None:
        raise ConflictError(
            f"cannot mount at {wanted.target}: {between} is a mount", hint=f"findmnt {between}"
        )
    gold = wanted.entry.location
    if not is_objects(gold) and holder(data, [gold]) is not None:
        raise ConflictError(
            f"the workspace lies inside the dataset at {gold}",
            hint="make the workspace outside of gold: dataguard workspace init DIR",
        )


def _check_policy(ctx: Context, step: MountStep, wanted: Wanted) -> None:
    stays = step.record if step.kind in AS_IT_IS else None
    promised = wanted.guarantee if stays is None else stays.guarantee
    required = ctx.policy.mount.required_guarantee
    if not promised.may_be_recorded(required):
        raise PolicyError(
            f"the policy requires mounts that are {required}, this one would be {promised}",
            hint="`dataguard doctor` says what this host can enforce",
        )
