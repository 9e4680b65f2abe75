"""What can be given back of redundant copies: a look at each, its original, and mounts near it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataguard.actions.goldfacts import GoldFacts
from dataguard.core.mountplan import status
from dataguard.core.paths import is_inside
from dataguard.core.reclaim import considered, may_read, planned
from dataguard.model.mount import Guarantee
from dataguard.model.mountpoint import MountStatus
from dataguard.model.reclaim import Left, Method, Reason, ReclaimStep
from dataguard.mounts.view import look as look_at_mount
from dataguard.stores.reclaimlook import link_target, look, steps_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.core.reclaim import ReclaimWish
    from dataguard.model.copies import Copy
    from dataguard.model.mount import MountRecord
    from dataguard.model.reclaim import LinkTarget, SeenCopy
    from dataguard.stores.reclaimcheck import Gold

__all__ = ["Plan", "plan_for"]


@dataclass(slots=True)
class Plan:
    """What is to be done, with what the versions say of the originals, and what is left alone."""

    steps: list[ReclaimStep] = field(default_factory=list)
    gold: list[Gold] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def plan_for(
    ctx: Context, copies: Sequence[Copy], wish: ReclaimWish, *, link_gold: bool = False
) -> Plan:
    """Return what can be done about copies, without changing anything.

    A link leads into an enforced mount of the version in the workspace that holds the copy; with
    `link_gold` to the original itself, where there is no such mount.

    Raises:
        CatalogDamagedError: a manifest or sheet cannot be trusted.
    """
    plan = Plan()
    facts = GoldFacts(ctx, [one for one in copies if considered(one) is None])
    planner = _Planner(ctx, facts, wish, link_gold=link_gold)
    for copy in copies:
        found = planner.judge(copy)
        if isinstance(found, Left):
            plan.left.append(found)
        else:
            plan.steps.append(found)
            plan.gold.append(facts.of(copy))
    return plan


class _Planner:
    """Judges one copy after the other; remembers which files it has seen."""

    def __init__(
        self, ctx: Context, facts: GoldFacts, wish: ReclaimWish, *, link_gold: bool
    ) -> None:
        self._facts = facts
        self._wish = wish
        self._link_gold = link_gold
        self._seen: set[tuple[int, int]] = set()
        self._gold = [os.fsencode(one.place) for one in ctx.catalog.active_locations()]
        self._mounts = _live_mounts(ctx)

    def judge(self, copy: Copy) -> ReclaimStep | Left:
        """Return what becomes of a copy."""
        reason, detail = considered(copy), ""
        if reason is None and any(_is_below(copy.path, place) for place in self._gold):
            reason = Reason.GOLD
        if reason is None:
            reason, detail = self._facts.doubt(copy)
        if reason is not None or copy.original is None:
            return Left(copy.path, reason or Reason.NOT_EXACT, copy.bytes, detail)
        try:
            seen = look(copy.path, copy.original)
        except OSError as err:
            return Left(copy.path, Reason.CHANGED, copy.bytes, err.strerror or str(err))
        return self._judge(copy, seen)

    def _judge(self, copy: Copy, seen: SeenCopy) -> ReclaimStep | Left:
        identity = (seen.state.device, seen.state.inode)
        if identity in self._seen:
            return Left(copy.path, Reason.REPEATED, copy.bytes)
        found = planned(copy, seen, self._wish, self._target(copy, seen))
        if isinstance(found, ReclaimStep):
            self._seen.add(identity)
        return found

    def _target(self, copy: Copy, seen: SeenCopy) -> LinkTarget | None:
        """Return what a link in the copy's place would lead to, None where it may lead nowhere."""
        if self._wish.method is Method.DEDUPE:
            return None
        mount = _nearest(copy, self._mounts.get((copy.dataset, copy.version), ()))
        path = copy.original if self._link_gold else None
        if mount is not None:
            path = os.path.join(os.fsencode(mount.target), copy.entry)
        if path is None:
            return None
        try:
            readable = self._is_readable(path, seen)
        except OSError:  # it is not there: nothing to lead to
            return None
        return link_target(path, readable=readable)

    def _is_readable(self, path: bytes, seen: SeenCopy) -> bool:
        """Whether the owner of a copy can read what a link would lead to."""
        if seen.state.uid in (0, self._wish.uid):
            return os.access(path, os.R_OK)
        return may_read(seen.state.uid, seen.gid, steps_to(path))


def _live_mounts(ctx: Context) -> Mapping[tuple[str, int], list[MountRecord]]:
    """Return the mounts of this host that are there and refuse writes, by dataset and version."""
    found: dict[tuple[str, int], list[MountRecord]] = {}
    for record in ctx.catalog.mounts(host=ctx.process.host):
        if record.guarantee is not Guarantee.ENFORCED:
            continue
        if status(record, look_at_mount(record.target), ctx.process.boot_id) is MountStatus.LIVE:
            found.setdefault((record.dataset, record.version), []).append(record)
    return found


def _nearest(copy: Copy, mounts: Iterable[MountRecord]) -> MountRecord | None:
    around = [one for one in mounts if _is_below(copy.path, os.fsencode(one.workspace))]
    return max(around, key=lambda one: len(one.workspace), default=None)


def _is_below(path: bytes, place: bytes) -> bool:
    return is_inside(os.fsdecode(path), os.fsdecode(place))
