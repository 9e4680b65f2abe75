"""`reclaim`: give back the space of redundant copies, on the record, and bring files back."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.copies import Wish, copies
from dataguard.actions.goldsource import sources_of
from dataguard.actions.reclaimable import plan_for
from dataguard.core.reclaim import ReclaimWish
from dataguard.errors import NotFoundError, UsageError
from dataguard.model.reclaim import (
    Left,
    Method,
    Reason,
    ReclaimRecord,
    ReclaimResult,
    ReclaimState,
    Restored,
    UndoResult,
)
from dataguard.model.reference import Reference
from dataguard.stores.reclaiming import bring_back, give_back, recover
from dataguard.stores.reclaimjournal import Mark, ReclaimJournal, only_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.reclaimable import Plan
    from dataguard.model.copies import Copy, FolderCopy
    from dataguard.model.entry import Unreadable
    from dataguard.model.reclaim import ReclaimStep, Replaced

__all__ = ["reclaim", "reclaim_places", "undo"]

_SETTLED = (Reason.SHARED, Reason.REPLACED)
"""Why a file need not come back: it is whole, or somebody has put something else there."""


def reclaim(
    ctx: Context,
    found: Sequence[Copy],
    method: Method = Method.AUTO,
    *,
    apply: bool = False,
    link_gold: bool = False,
    folders: Sequence[FolderCopy] | None = None,
    unreadable: tuple[Unreadable, ...] = (),
) -> ReclaimResult:
    """Return what copies can give back; with `apply` have them do so. Links have nothing to give.

    With `folders`, what the search says of directories, whole ones become one link each.

    Without `apply` nothing is changed. With it, what an interrupted reclaim left in between is
    brought back to what it was first. `unreadable` is what the search could not look at.

    Raises:
        CatalogDamagedError: a manifest, sheet or journal cannot be trusted.
        ConflictError: another reclaim of this home is at work.
        StoreUnreachableError: the journal cannot be written.
    """
    wish = ReclaimWish(method, ctx.actor.uid)
    if not apply:
        plan = plan_for(ctx, found, wish, link_gold=link_gold, folders=folders)
        return _result(None, plan.steps, plan.left, unreadable, unfinished=_unfinished(ctx))
    with only_one(ctx.settings.home.value):
        recovered = _recover_all(ctx)
        plan = plan_for(ctx, found, wish, link_gold=link_gold, folders=folders)
        if not plan.steps:
            return _result(None, (), [*recovered, *plan.left], unreadable)
        return _apply(ctx, plan, recovered, unreadable)


def reclaim_places(
    ctx: Context,
    places: tuple[str, ...],
    method: Method = Method.AUTO,
    *,
    only: str | None = None,
    apply: bool = False,
    link_gold: bool = False,
    folders: bool = False,
) -> ReclaimResult:
    """Search places for copies of gold, or of the version `only`, then do as `reclaim`.

    Raises:
        NotFoundError: a place or the version does not exist.
        DataguardError: as `copies` and `reclaim`.
    """
    remote = next((place for place in places if "://" in place), None)
    if remote is not None:
        raise UsageError(
            f"{remote}: objects are not taken back: nothing in a bucket can stand for a copy",
            hint=f"dataguard copies {remote} lists what its owner may delete",
        )
    reference = None if only is None else Reference.parse(only)
    if apply:
        with only_one(ctx.settings.home.value):
            _recover_all(ctx)  # what it brings back is to be found; what it cannot is told below
    found = copies(ctx, places, (), Wish(only=reference, dry_run=True))
    return reclaim(
        ctx,
        found.copies,
        method,
        apply=apply,
        link_gold=link_gold,
        folders=found.folders if folders else None,
        unreadable=found.unreadable,
    )


def undo(ctx: Context, reclaim_id: str, *, dry_run: bool = False) -> UndoResult:
    """Bring back the files that links took the place of, verified, with owner, mode and times.

    Files that share blocks are whole as they are, and are left so. A link that somebody changed is
    left too. Interrupted, the same command goes on.

    Raises:
        CatalogDamagedError: the journal makes no sense.
        ConflictError: a reclaim of this home is at work.
        NotFoundError: there is no such reclaim, or its journal is not in this home.
        StoreUnreachableError: the journal cannot be written.
    """
    record = ctx.catalog.reclaim(reclaim_id)
    home = ctx.settings.home.value
    with only_one(home), ReclaimJournal.open(home, reclaim_id) as journal:
        shared = [Left(path, Reason.SHARED) for path in journal.shared]
        before = journal.numbers(Mark.DONE)
        if dry_run:
            return _undone(journal, before, shared)
        left = [*shared, *_recover(journal)]
        before = journal.numbers(Mark.DONE)
        _record(ctx, replace(record, state=ReclaimState.UNDOING, since=ctx.clock()))
        left += _bring_back_all(ctx, journal)
        stuck = journal.unfinished or any(one.reason not in _SETTLED for one in left)
        state = ReclaimState.UNDOING if stuck else ReclaimState.UNDONE
        _record(ctx, replace(record, state=state, since=ctx.clock()))
        return _undone(journal, before, left)


def _apply(
    ctx: Context, plan: Plan, recovered: list[Left], unreadable: tuple[Unreadable, ...]
) -> ReclaimResult:
    reclaim_id = f"{ctx.clock():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    record = _new_record(ctx, plan, reclaim_id)
    with ReclaimJournal.create(ctx.settings.home.value, reclaim_id) as journal:
        _record(ctx, record)
        done: list[ReclaimStep] = []
        left = [*recovered, *plan.left]
        try:
            _give_back_all(ctx, plan, journal, done, left)
        finally:
            # A signal may have come at any moment: nothing is left in between that need not be.
            left += _recover(journal)
            journal.sync()
            gained = sum(one.reclaimable for one in done)
            files = sum(one.files for one in done)
            _record(ctx, replace(record, state=_state(journal), files=files, reclaimed=gained))
    steps = (*done, *_missed(plan, done))
    result = _result(reclaim_id, steps, left, unreadable)
    return replace(result, applied=True, reclaimed=gained)


def _give_back_all(
    ctx: Context, plan: Plan, journal: ReclaimJournal, done: list[ReclaimStep], left: list[Left]
) -> None:
    ctx.progress.start("giving back space", sum(step.bytes for step in plan.steps))
    try:
        for number, (step, gold) in enumerate(zip(plan.steps, plan.gold, strict=True)):
            found = give_back(step, gold, journal, number)
            if isinstance(found, Left):
                left.append(found)
            else:
                done.append(replace(step, reclaimable=found, done=True))
            ctx.progress.advance(step.files, step.bytes)
    finally:
        ctx.progress.finish()


def _missed(plan: Plan, done: Iterable[ReclaimStep]) -> Iterable[ReclaimStep]:
    paths = {one.path for one in done}
    return (step for step in plan.steps if step.path not in paths)


def _bring_back_all(ctx: Context, journal: ReclaimJournal) -> list[Left]:
    left = []
    ctx.progress.start("bringing files back")
    try:
        for number in reversed(journal.numbers(Mark.DONE)):
            one = journal.replaced[number]
            found = _brought_back(ctx, one, journal)
            if isinstance(found, Left):
                left.append(found)
            ctx.progress.advance(one.files, one.size)
    finally:
        ctx.progress.finish()
    return left


def _brought_back(ctx: Context, one: Replaced, journal: ReclaimJournal) -> int | Left:
    """Bring a file back from the first location whose bytes are those of the version."""
    detail = f"no location of {one.dataset}@{one.version} here has it"
    found: int | Left = Left(one.path, Reason.UNVERIFIED, one.size, detail)
    folder = one.is_folder
    for source in sources_of(ctx, one.dataset, one.version, one.entry, folder=folder):
        found = bring_back(one, source, journal)
        if not isinstance(found, Left) or found.reason is Reason.REPLACED:
            break
    return found


def _undone(journal: ReclaimJournal, numbers: Iterable[int], left: list[Left]) -> UndoResult:
    """Return what became of files that a link had taken the place of."""
    kept = {one.path for one in left}
    restored = tuple(
        Restored(
            path=one.path,
            dataset=one.dataset,
            version=one.version,
            bytes=one.size,
            done=journal.marks[one.number] is Mark.UNDONE,
            files=one.files,
        )
        for one in (journal.replaced[number] for number in numbers)
        if one.path not in kept
    )
    size = sum(one.bytes for one in restored if one.done)
    return UndoResult(journal.id, any(o.done for o in restored), restored, tuple(left), size)


def _unfinished(ctx: Context) -> tuple[str, ...]:
    """Return the reclaims that the next one brings to an end; an undo is for who asked for it."""
    applying = (one for one in ctx.catalog.reclaims() if one.state is ReclaimState.APPLYING)
    return tuple(one.id for one in applying if _is_ours(ctx, one))


def _recover_all(ctx: Context) -> list[Left]:
    """Bring what interrupted reclaims left in between to one of its two ends."""
    left = []
    for record in ctx.catalog.reclaims():
        if record.state is not ReclaimState.APPLYING or not _is_ours(ctx, record):
            continue
        try:
            journal = ReclaimJournal.open(ctx.settings.home.value, record.id)
        except NotFoundError:  # of another home with the same catalog, which will go on with it
            continue
        with journal:
            left += _recover(journal)
            now = _recovered(record, journal)
        if now != record:
            _record(ctx, now)
    return left


def _is_ours(ctx: Context, record: ReclaimRecord) -> bool:
    """Whether a reclaim is this user's, on this host; others go on with theirs themselves."""
    return (record.actor.host, record.actor.uid) == (ctx.actor.host, ctx.actor.uid)


def _recovered(record: ReclaimRecord, journal: ReclaimJournal) -> ReclaimRecord:
    """Return the record of a reclaim that ended before it could say how far it was."""
    finished = [journal.replaced[number] for number in journal.numbers(Mark.DONE)]
    files = sum(one.files for one in finished) + len(journal.shared)
    gained = sum(one.reclaimable for one in finished) + sum(journal.shared.values())
    return replace(record, state=_state(journal), files=files, reclaimed=gained)


def _recover(journal: ReclaimJournal) -> list[Left]:
    found = (recover(journal, number) for number in journal.unfinished)
    return [one for one in found if one is not None]


def _state(journal: ReclaimJournal) -> ReclaimState:
    return ReclaimState.APPLYING if journal.unfinished else ReclaimState.APPLIED


def _new_record(ctx: Context, plan: Plan, reclaim_id: str) -> ReclaimRecord:
    return ReclaimRecord(
        id=reclaim_id,
        state=ReclaimState.APPLYING,
        since=ctx.clock(),
        actor=ctx.actor,
        versions=tuple(sorted({f"{one.dataset}@{one.version}" for one in plan.steps})),
        files=sum(one.files for one in plan.steps),
        bytes=sum(one.bytes for one in plan.steps),
        reclaimed=0,
    )


def _record(ctx: Context, record: ReclaimRecord) -> None:
    with ctx.catalog.transaction() as tx:
        tx.put_reclaim(record)


def _result(
    reclaim_id: str | None,
    steps: Iterable[ReclaimStep],
    left: Iterable[Left],
    unreadable: tuple[Unreadable, ...],
    *,
    unfinished: tuple[str, ...] = (),
) -> ReclaimResult:
    listed = tuple(steps)
    return ReclaimResult(
        id=reclaim_id,
        applied=False,
        steps=listed,
        left=tuple(left),
        reclaimable=sum(one.reclaimable for one in listed),
        reclaimed=0,
        unfinished=unfinished,
        unreadable=unreadable,
    )
