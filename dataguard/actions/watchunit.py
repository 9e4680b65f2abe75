"""`watch --emit systemd`: the unit that keeps a watcher running."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

from dataguard.actions.sinksettings import read_sinks
from dataguard.catalog.address import database_path
from dataguard.core.watch_unit import watch_unit
from dataguard.errors import ConflictError, NotFoundError
from dataguard.model.alert import SinkKind
from dataguard.model.results.watch import WatchUnit

if TYPE_CHECKING:
    from dataguard.actions.context import Context

__all__ = ["unit"]


def unit(ctx: Context, options: tuple[str, ...], program: str) -> WatchUnit:
    """Return a unit for `dataguard watch` with some options, for this home; writes nothing.

    Raises:
        ConflictError: a path cannot be written in a unit.
    """
    home = ctx.settings.home.value
    written = {os.path.dirname(database_path(ctx.settings.catalog.value))}
    sinks = read_sinks(ctx.settings)
    written |= {
        os.path.dirname(one.target)
        for one in sinks
        if one.kind in (SinkKind.JSONL, SinkKind.PROMETHEUS) and one.target.startswith("/")
    }
    places = [one.place for one in ctx.catalog.active_locations() if "://" not in one.place]
    command = (*_command(program), "watch", *options)
    others = sorted(written - {home, ""})
    for word in (*command, home, *others):
        if not word.isprintable():
            raise ConflictError(
                f"{word!r} cannot be written in a unit", hint="move it, or write the unit by hand"
            )
    audit = ("--attribution", "audit") in itertools.pairwise(options)
    text = watch_unit(command, home, writable=others, watched=places, with_audit=audit)
    return WatchUnit("systemd", text)


def _command(program: str) -> tuple[str, ...]:
    """Return the absolute command that started this: a unit has no PATH of a user's."""
    found = os.path.abspath(program)
    if os.path.basename(found) == "dataguard" and os.access(found, os.X_OK):
        return (found,)
    if not sys.executable:
        raise NotFoundError("this Python does not know where it is")
    return (sys.executable, "-m", "dataguard")
