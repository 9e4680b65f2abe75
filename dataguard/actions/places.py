"""Turns what users write as a place into the place that is meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects, normal_place
from dataguard.core.paths import is_inside
from dataguard.engines.fitted import fit
from dataguard.engines.local import LocalEngine
from dataguard.errors import NotFoundError, UsageError
from dataguard.stores.medium import medium_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.stores.interface import Store
    from dataguard.stores.local import LocalStore
    from dataguard.stores.walk import Exclusion

__all__ = ["open_store", "share_of", "source_place", "store_of"]


def source_place(written: str, *, home: str, own: Mapping[str, str] | None = None) -> str:
    """Return the absolute path, without links, of a source to register, or the URL of objects.

    `own` is what dataguard may write to, by what it is.

    Raises:
        NotFoundError: there is no such directory.
        UsageError: it is a URL of something else than objects, a file, it and the home lie in one
            another, or it holds something else that dataguard writes to.
    """
    if not written:
        raise UsageError("the location is empty", hint="dataguard register NAME DIRECTORY")
    if "://" in written:
        return normal_place(written)
    place = os.path.realpath(written)
    if not os.path.lexists(place):
        raise NotFoundError(f"no directory {place}")
    if not os.path.isdir(place):
        raise UsageError(f"{place} is no directory", hint="register the directory that holds it")
    home = os.path.realpath(home)
    if is_inside(home, place) or is_inside(place, home):
        raise UsageError(
            f"the source {place} and dataguard's home {home} lie in one another",
            hint="set DATAGUARD_HOME to a directory outside the source",
        )
    for what, path in (own or {}).items():
        if is_inside(os.path.realpath(path), place):
            raise UsageError(
                f"{what} {path} is inside the source {place}", hint="name a place outside of it"
            )
    return place


def open_store(
    ctx: Context, place: str, exclude: tuple[str, ...] = (), *, polite: bool = False
) -> Store:
    """Return the store of a place, and have the engine take as many workers as suit it.

    With `polite` reading leaves nothing in the page cache that was not there before.
    """
    if is_objects(place):
        from dataguard.actions.objectplaces import open_objects  # noqa: PLC0415  few need it

        return open_objects(ctx, place, exclude)
    from dataguard.stores.local import LocalStore  # noqa: PLC0415  loads Arrow

    fit(ctx.engine, medium_of(place))
    return LocalStore(place, host=ctx.actor.host, spread=ctx.spread, exclude=exclude, polite=polite)


def store_of(
    ctx: Context,
    place: str,
    *,
    left_out: Exclusion | None = None,
    polite: bool = False,
    rate: int = 0,
) -> LocalStore:
    """Return the store of a directory that is no dataset, fitted as `open_store` does.

    All workers together read no more than `rate` bytes a second, where it is not 0.
    """
    from dataguard.stores.local import LocalStore  # noqa: PLC0415  as above

    fit(ctx.engine, medium_of(place))
    return LocalStore(
        place,
        host=ctx.actor.host,
        spread=ctx.spread,
        left_out=left_out,
        polite=polite,
        rate=share_of(ctx, rate),
    )


def share_of(ctx: Context, rate: int) -> int:
    """Return how many bytes a second one worker may read of what all may; 0 is any number.

    Workers of a cluster are not counted: each may read as much.
    """
    if not rate:
        return 0
    workers = ctx.engine.workers if isinstance(ctx.engine, LocalEngine) else 1
    return max(rate // workers, 1)
