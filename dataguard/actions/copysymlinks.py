"""Symlinks that lead into gold: they take no room, and are told so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.copymatch import originals
from dataguard.core.paths import is_inside
from dataguard.model.copies import Copy, CopyKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.goldindex import GoldIndex

__all__ = ["links_into"]


def links_into(ctx: Context, scan: PlaceScan, index: GoldIndex) -> Iterator[Copy]:
    """Yield the symlinks of a place whose target lies in the location of a version."""
    if not scan.symlinks:
        return
    homes = [(version, originals(ctx, version)) for version in index.versions]
    for link in scan.symlinks:
        path = os.path.join(os.fsencode(scan.place), link)
        target = os.path.realpath(os.fsdecode(path))
        for version, home in homes:
            if home is not None and is_inside(target, home) and os.path.lexists(target):
                entry = "" if target == home else os.path.relpath(target, home)
                yield Copy(
                    path=path,
                    kind=CopyKind.LINK,
                    dataset=version.dataset,
                    version=version.number,
                    entry=os.fsencode(entry),
                    original=os.fsencode(target),
                    bytes=0,
                    reclaimable=0,
                    evidence={"link": "symlink"},
                )
                break
