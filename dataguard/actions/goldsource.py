"""Where a file of a version can be read on this host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.actions.resolution import is_here
from dataguard.model.dataset import LocationState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context

__all__ = ["sources_of"]


def sources_of(
    ctx: Context, dataset: str, number: int, entry: bytes, *, folder: bool = False
) -> Iterator[bytes]:
    """Yield the path of an entry, or of a directory, at each location of this host that has it.

    Active locations come first. Its content is for the caller to verify.
    """
    known = ctx.catalog.locations(dataset, number)
    here = [one for one in known if is_here(one, ctx.process.host)]
    here.sort(key=lambda one: one.state is not LocationState.ACTIVE)
    is_there = os.path.isdir if folder else os.path.isfile
    paths = (os.path.join(os.fsencode(one.place), entry).rstrip(b"/") for one in here)
    return (path for path in paths if is_there(path))
