"""What can be given back of redundant copies: a look at each, its original, and mounts near it."""

from __future__ import annotations

import os
from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.actions.goldfacts import GoldFacts
from dataguard.actions.reclaimplaces import ReclaimPlaces
from dataguard.core.reclaim import considered, planned
from dataguard.core.wholefolders import is_within
from dataguard.model.copies import CopyKind
from dataguard.model.dataclass import dataclass
from dataguard.model.reclaim import Left, Method, Reason, ReclaimStep
from dataguard.stores.reclaiming import left_for
from dataguard.stores.reclaimlook import link_target, look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.core.reclaim import ReclaimWish
    from dataguard.model.copies import Copy, FolderCopy
    from dataguard.model.reclaim import LinkTarget, SeenCopy
    from dataguard.stores.folderpairs import FolderGold
    from dataguard.stores.reclaimcheck import Gold

__all__ = ["Plan", "plan_for"]


@dataclass(slots=True)
class Plan:
    """What is to be done, with what the versions say of the originals, and what is left alone."""

    steps: list[ReclaimStep] = field(default_factory=list)
    gold: list[Gold | FolderGold] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def add(self, step: ReclaimStep, gold: Gold | FolderGold) -> None:
        """Take a step, and what the version says of what it is about."""
        self.steps.append(step)
        self.gold.append(gold)


def plan_for(
    ctx: Context,
    copies: Sequence[Copy],
    wish: ReclaimWish,
    *,
    link_gold: bool = False,
    folders: Sequence[FolderCopy] | None = None,
) -> Plan:
    """Return what can be done about copies, without changing anything.

    A link leads into an enforced mount of the version in the workspace that holds the copy; with
    `link_gold` to the original itself, where there is no such mount. With `folders`, what the
    search says of directories, whole directories become links first, and only to such mounts.

    Raises:
        CatalogDamagedError: a manifest or sheet cannot be trusted.
    """
    plan = Plan()
    facts = GoldFacts(ctx, [one for one in copies if _is_same(one)])
    places = ReclaimPlaces(ctx, wish.uid)
    if folders is not None:
        from dataguard.actions.reclaimfolders import FolderPlanner  # noqa: PLC0415  few ask for it

        known = {one.path: one for one in copies if _is_same(one)}
        for found in FolderPlanner(ctx, facts, places, wish, known).planned(folders):
            if isinstance(found, Left):
                plan.left.append(found)
            else:
                plan.add(*found)
    planner = _Planner(facts, places, wish, link_gold=link_gold)
    for copy in _outside(copies, {step.path for step in plan.steps}):
        judged = planner.judge(copy)
        if isinstance(judged, Left):
            plan.left.append(judged)
        else:
            plan.add(judged, facts.of(copy))
    return plan


class _Planner:
    """Judges one copy after the other; remembers which files it has seen."""

    def __init__(
        self, facts: GoldFacts, places: ReclaimPlaces, wish: ReclaimWish, *, link_gold: bool
    ) -> None:
        self._facts = facts
        self._places = places
        self._wish = wish
        self._link_gold = link_gold
        self._seen: set[tuple[int, int]] = set()

    def judge(self, copy: Copy) -> ReclaimStep | Left:
        """Return what becomes of a copy."""
        reason, detail = considered(copy), ""
        if reason is None and self._places.is_in_gold(os.path.dirname(copy.path)):
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

    def _judge(self, copy: Copy, seen: SeenCopy) -> ReclaimStep | Left:
        identity = (seen.state.device, seen.state.inode)
        if identity in self._seen:
            return Left(copy.path, Reason.REPEATED, copy.bytes)
        found = planned(copy, seen, self._wish, self._target(copy, seen))
        if isinstance(found, Left):
            return found
        if found.method is Method.LINK and self._places.is_recorded(copy.path):
            return Left(copy.path, Reason.RECORDED, copy.bytes)
        self._seen.add(identity)
        return found

    def _target(self, copy: Copy, seen: SeenCopy) -> LinkTarget | None:
        """Return what a link in the copy's place would lead to, None where it may lead nowhere."""
        if self._wish.method is Method.DEDUPE:
            return None
        mount = self._places.mount_near(copy.path, copy.dataset, copy.version)
        path = copy.original if self._link_gold else None
        if mount is not None:
            path = os.path.join(os.fsencode(mount.target), copy.entry)
        if path is None:
            return None
        try:
            readable = self._places.is_readable(copy.path, path, seen.state.uid, seen.gid)
        except OSError:  # it is not there: nothing to lead to
            return None
        return link_target(path, readable=readable)


def _is_same(copy: Copy) -> bool:
    """Whether a file has the very bytes of its original, in blocks of its own or not."""
    return considered(copy) is None or copy.evidence.get("link") == "reflink"


def _outside(copies: Sequence[Copy], folders: set[bytes]) -> Iterator[Copy]:
    """Yield the copies to judge one by one: no links, and none that goes with a folder."""
    for copy in copies:
        if copy.kind is not CopyKind.LINK and not is_within(copy.path, folders):
            yield copy
