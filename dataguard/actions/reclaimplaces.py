"""What lies around copies: gold, outputs, mounts to link to, and who may read what."""

from __future__ import annotations

import os
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from dataguard.core.mountplan import status
from dataguard.core.paths import is_inside
from dataguard.core.reclaim import NOBODY, follows, may_read
from dataguard.model.mount import Guarantee
from dataguard.model.mountpoint import MountStatus
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of, parts_of
from dataguard.mounts.view import look as look_at_mount
from dataguard.stores.reclaimlook import steps_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.actions.context import Context
    from dataguard.model.mount import MountRecord

__all__ = ["ReclaimPlaces", "is_below"]

_DIRECTORIES_KEPT = 1024


class ReclaimPlaces:
    """Gold, outputs and mounts of this host as they are now; asked about one path at a time."""

    def __init__(self, ctx: Context, uid: int) -> None:
        """Look them up for a caller.

        Raises:
            DataguardError: the mounts of this process cannot be read.
        """
        self._uid = uid
        self._gold = [os.fsencode(one.place) for one in ctx.catalog.active_locations()]
        self._table = mountinfo.read()
        self._recorded = cache(lambda: _recorded_outputs(ctx))
        self._outputs = cache(lambda: _outputs(ctx))
        self._paths: dict[bytes, tuple[bytes, ...]] = {}
        self._mounts = _live_mounts(ctx)
        self._steps = lru_cache(_DIRECTORIES_KEPT)(steps_to)

    def is_in_gold(self, directory: bytes) -> bool:
        """Whether a directory lies in any location, by whatever path it was found."""
        if directory not in self._paths:
            found = aliases_of(os.fsdecode(directory), table=self._table)
            self._paths[directory] = (directory, *map(os.fsencode, found))
        return any(is_below(one, place) for one in self._paths[directory] for place in self._gold)

    def holds_gold(self, directory: bytes) -> bool:
        """Whether any location lies in a directory, by whatever path."""
        known = (os.fsdecode(place) for place in self._gold)
        paths = (path for place in known for path in aliases_of(place, table=self._table))
        return any(is_below(os.fsencode(path), directory) for path in paths)

    def mounts_touching(self, directory: bytes) -> str:
        """Return a mount at a directory or below it, or one elsewhere that shows some of it."""
        place = os.fsdecode(directory)
        below = (one.target for one in self._table.points if is_inside(one.target, place))
        return next(chain(below, parts_of(place, table=self._table)), "")

    def is_recorded(self, path: bytes) -> bool:
        """Whether a finished run has a file in its record: a link would be another output."""
        above = os.path.dirname(path)
        while above not in (b"", b"/"):
            if above in self._recorded():
                return True
            above = os.path.dirname(above)
        return False

    def touches_outputs(self, directory: bytes) -> bool:
        """Whether a directory lies in the outputs of a workspace or run, or holds such a place."""
        places = (*self._recorded(), *self._outputs())
        return any(is_below(directory, one) or is_below(one, directory) for one in places)

    def mount_near(self, path: bytes, dataset: str, version: int) -> MountRecord | None:
        """Return the enforced mount of a version in the innermost workspace around a path."""
        mounts = self._mounts.get((dataset, version), ())
        around = [one for one in mounts if is_below(path, os.fsencode(one.workspace))]
        return max(around, key=lambda one: len(one.workspace), default=None)

    def is_readable(self, old: bytes, new: bytes, uid: int, gid: int) -> bool:
        """Whether all who can read a path could read another one: its owner, its group, others.

        Raises:
            OSError: one is not there.
        """
        before, after = self._way(old), self._way(new)
        if not follows(before):
            return False
        mine = may_read(uid, gid, after) if uid not in (0, self._uid) else os.access(new, os.R_OK)
        others = ((NOBODY, gid), (NOBODY, NOBODY))
        return mine and all(may_read(*one, after) for one in others if may_read(*one, before))

    def _way(self, path: bytes) -> tuple[tuple[int, int, int], ...]:
        found = os.stat(path)
        return (*self._steps(os.path.dirname(path)), (found.st_mode, found.st_uid, found.st_gid))


def is_below(path: bytes, place: bytes) -> bool:
    """Whether a path is a place or lies in it."""
    return is_inside(os.fsdecode(path), os.fsdecode(place))


def _recorded_outputs(ctx: Context) -> frozenset[bytes]:
    """Return the directories of runs whose record says what they wrote."""
    runs = (run for run in ctx.catalog.runs() if run.output_root is not None)
    return frozenset(os.fsencode(run.outputs) for run in runs)


def _outputs(ctx: Context) -> frozenset[bytes]:
    """Return the directories that workspaces of this host name for their outputs."""
    here = (one for one in ctx.catalog.workspaces() if one.host == ctx.process.host)
    return frozenset(os.fsencode(one.outputs) for one in here)


def _live_mounts(ctx: Context) -> Mapping[tuple[str, int], Iterable[MountRecord]]:
    """Return the mounts of this host that are there and refuse writes, by dataset and version."""
    found: dict[tuple[str, int], list[MountRecord]] = {}
    for record in ctx.catalog.mounts(host=ctx.process.host):
        if record.guarantee is not Guarantee.ENFORCED:
            continue
        if status(record, look_at_mount(record.target), ctx.process.boot_id) is MountStatus.LIVE:
            found.setdefault((record.dataset, record.version), []).append(record)
    return found
