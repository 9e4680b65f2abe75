"""What can be given back of redundant copies: a look at each, its original, and mounts near it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from dataguard.actions.goldfacts import GoldFacts
from dataguard.core.mountplan import status
from dataguard.core.paths import is_inside
from dataguard.core.reclaim import NOBODY, considered, follows, may_read, planned
from dataguard.model.mount import Guarantee
from dataguard.model.mountpoint import MountStatus
from dataguard.model.reclaim import Left, Method, Reason, ReclaimStep
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of
from dataguard.mounts.view import look as look_at_mount
from dataguard.stores.reclaiming import left_for
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
        self._table = mountinfo.read()
        self._outputs = cache(lambda: _recorded_outputs(ctx))
        self._paths: dict[bytes, tuple[bytes, ...]] = {}
        self._mounts = _live_mounts(ctx)

    def judge(self, copy: Copy) -> ReclaimStep | Left:
        """Return what becomes of a copy."""
        reason, detail = considered(copy), ""
        if reason is None and self._is_in_gold(copy):
            reason = Reason.GOLD
        if reason is None:
            reason, detail = self._facts.doubt(copy)
        if reason is not None or copy.original is None:
            return Left(copy.path, reason or Reason.NOT_EXACT, copy.bytes, detail)
        try:
            seen = look(copy.path, copy.original)
        except OSError as err:
            return left_for(copy.path, copy.bytes, err)
        return self._judge(copy, seen)

    def _is_in_gold(self, copy: Copy) -> bool:
        """Whether a file lies in any location, by whatever path it was found."""
        directory = os.path.dirname(copy.path)
        if directory not in self._paths:
            found = aliases_of(os.fsdecode(directory), table=self._table)
            self._paths[directory] = (directory, *map(os.fsencode, found))
        return any(_is_below(one, place) for one in self._paths[directory] for place in self._gold)

    def _judge(self, copy: Copy, seen: SeenCopy) -> ReclaimStep | Left:
        identity = (seen.state.device, seen.state.inode)
        if identity in self._seen:
            return Left(copy.path, Reason.REPEATED, copy.bytes)
        found = planned(copy, seen, self._wish, self._target(copy, seen))
        if isinstance(found, Left):
            return found
        if found.method is Method.LINK and self._is_recorded(copy):
            return Left(copy.path, Reason.RECORDED, copy.bytes)
        self._seen.add(identity)
        return found

    def _is_recorded(self, copy: Copy) -> bool:
        """Whether a finished run has the file in its record: a link would be another output."""
        above = os.path.dirname(copy.path)
        while above not in (b"", b"/"):
            if above in self._outputs():
                return True
            above = os.path.dirname(above)
        return False

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
            readable = self._is_readable(path, copy, seen)
        except OSError:  # it is not there: nothing to lead to
            return None
        return link_target(path, readable=readable)

    def _is_readable(self, path: bytes, copy: Copy, seen: SeenCopy) -> bool:
        """Whether all who can read a copy could read what a link would lead to."""
        old, new = steps_to(copy.path), steps_to(path)
        if not follows(old):
            return False
        if seen.state.uid not in (0, self._wish.uid):
            mine = may_read(seen.state.uid, seen.gid, new)
        else:
            mine = os.access(path, os.R_OK)
        others = ((NOBODY, seen.gid), (NOBODY, NOBODY))
        return mine and all(may_read(*one, new) for one in others if may_read(*one, old))


def _recorded_outputs(ctx: Context) -> frozenset[bytes]:
    """Return the directories of runs whose record says what they wrote."""
    runs = (run for run in ctx.catalog.runs() if run.output_root is not None)
    return frozenset(os.fsencode(run.outputs) for run in runs)


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
