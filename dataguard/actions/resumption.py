"""Goes on with a `register` that was interrupted: its journal is opened, used and given up."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dataguard.actions.intake import take_in
from dataguard.actions.resumedstore import ResumedStore
from dataguard.model.finding import Code
from dataguard.model.journal import JournalHead, JournalKey
from dataguard.stores.journal import Journal, expire_journals

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.actions.intake import Intake
    from dataguard.actions.registration import Source
    from dataguard.core.verdicts import Difference
    from dataguard.model.journal import Pace
    from dataguard.stores.draft import Draft

__all__ = ["journal_of", "take_in_rest"]

_KEPT = timedelta(days=7)
"""How long an interrupted attempt can be gone on with."""


def journal_of(
    ctx: Context,
    source: Source,
    exclude: tuple[str, ...],
    started: datetime,
    *,
    fresh: bool,
    keep: bool,
    pace: Pace,
) -> Journal:
    """Return the journal of a source, with what interrupted attempts to read it left.

    Where `fresh`, none of that is used; without `keep`, this attempt leaves no trace.

    Raises:
        NotFoundError: there is no such place.
        StoreUnreachableError: the place does not answer.
    """
    directory = os.path.join(ctx.settings.home.value, "state")
    if keep:
        expire_journals(directory, ctx.clock(), _KEPT)
    plan, store = source.reads, source.store
    key = JournalKey(store.place, plan.algorithms, exclude, ctx.actor.uid)
    head = JournalHead(key, store.filesystem(), started)
    return Journal(directory, head, plan, clock=ctx.clock, pace=pace, fresh=fresh, keep=keep)


def take_in_rest(ctx: Context, source: Source, draft: Draft, journal: Journal) -> Intake:
    """Read a source into a draft as `take_in` does, but no file that the journal vouches for."""
    store = ResumedStore(source.store, journal)
    intake = take_in(ctx, replace(source, store=store), draft)
    if store.files:
        intake.resumed, intake.resumed_bytes = store.files, store.bytes
        intake.began = journal.started
    # A bad read must not be believed again and again: what it was held against says otherwise.
    doubtful = [one for one in intake.differences if _may_be_misread(one)]
    journal.distrust([one.path for one in (*intake.broken, *doubtful)])
    return intake


def _may_be_misread(difference: Difference) -> bool:
    """Whether nothing but the bytes themselves says that a file was changed."""
    return difference.code is Code.DG107 or difference.evidence.get("cause") == "unknown"
