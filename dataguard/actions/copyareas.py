"""Where copies are told as they are made: workspaces, outputs places and areas of the policy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.gate import places
from dataguard.core.areas import layered_areas
from dataguard.core.paths import is_inside
from dataguard.model.area import Area, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context

__all__ = ["copy_areas"]


def copy_areas(ctx: Context) -> tuple[Area, ...]:
    """Return the directories of this host in which copies are looked for, none inside another.

    What lies in gold is gold's, and is watched as such.
    """
    found = sorted(_areas(ctx), key=lambda one: one.place)
    gold = [one.place for one in ctx.catalog.active_locations()]
    outermost: list[Area] = []
    for one in found:
        if any(is_inside(one.place, other) for other in gold):
            continue
        if not any(is_inside(one.place, other.place) for other in outermost):
            outermost.append(one)
    return tuple(outermost)


def _areas(ctx: Context) -> Iterator[Area]:
    for record in ctx.catalog.workspaces():
        if record.host == ctx.process.host:
            source = f"the workspace {record.directory}"
            yield from _there(record.directory, Role.SCRATCH, source)
            yield from _there(record.outputs, Role.OUTPUT, f"the outputs place of {source}")
    for areas in layered_areas(ctx.policy, places(ctx)):
        for area in areas:
            if area.role is not Role.GOLD:
                yield from _there(area.place, area.role, area.source)


def _there(place: str, role: Role, source: str) -> Iterator[Area]:
    real = os.path.realpath(place)
    if os.path.isdir(real):
        yield Area(real, role, source)
