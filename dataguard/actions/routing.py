"""What `run` knows of diverted writes; the work is in `diversion`, loaded for jobs that need it."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.diversion import Diverted, DivertedKind, Harvest, Writes
from dataguard.stores.layers import layers_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.actions.context import Context
    from dataguard.actions.diversion import Routing
    from dataguard.actions.inputs import JobInput
    from dataguard.model.finding import Finding
    from dataguard.model.run import Run, RunOutput
    from dataguard.stores.rundirectory import RunDirectory

__all__ = [
    "as_left",
    "clear",
    "digested",
    "layers_of",
    "reap",
    "rehearsed",
    "reported",
    "routed",
    "with_layers",
]

_LEFT = "diverted"


def routed(
    writes: Writes, inputs: tuple[JobInput, ...], directory: str, run_id: str
) -> Routing | None:
    """Make the layers that the writes of a job are led into, where that was asked.

    Raises:
        NotStartedError, StoreUnreachableError: as `divert`.
    """
    if writes is Writes.REFUSE:
        return None
    from dataguard.actions.diversion import divert  # noqa: PLC0415  few jobs need it

    return divert(inputs, directory, run_id)


@contextmanager
def rehearsed(writes: Writes, inputs: tuple[JobInput, ...], place: str) -> Iterator[Routing | None]:
    """Make layers to try an overlay with in `place`, which is there, and remove them again."""
    run_id = f"explain-{secrets.token_hex(4)}"
    routing = routed(writes, inputs, os.path.join(place, run_id), run_id)
    try:
        yield routing
    finally:
        if routing is not None:
            routing.remove()


def layers_of(writes: Writes, directory: str, run_id: str) -> dict[str, str]:
    """Return what a run's record says of its writes while it is on its way.

    Where the layers are, since they stay where a run that is killed leaves them.
    """
    if writes is Writes.REFUSE:
        return {}
    return {"writes": str(writes), _LEFT: layers_place(directory, run_id)}


def with_layers(record: Run, left: str | None) -> Run:
    """Return the record of a run that is over: its layers are gone but for what was `left`."""
    kept = {key: value for key, value in record.metadata.items() if key != _LEFT}
    return replace(record, metadata=kept if left is None else {**kept, _LEFT: left})


def as_left(record: Run) -> Run:
    """Return the record of a run that was killed: what it had diverted stays, if it got so far."""
    place = record.metadata.get(_LEFT)
    return with_layers(record, place if place is not None and os.path.isdir(place) else None)


def reap(directory: RunDirectory, routing: Routing | None, aside: str | None) -> Harvest:
    """Return what a job wrote that was led away: into gold, or in place of its run's record."""
    own = (Diverted(os.fsencode(aside), DivertedKind.RECORD),) if aside else ()
    if routing is None:
        return Harvest(own)
    from dataguard.actions.diversion import harvest  # noqa: PLC0415  few jobs need it

    found = harvest(routing, directory)
    return replace(found, diverted=(*own, *found.diverted))


def clear(routing: Routing | None, found: Harvest) -> None:
    """Remove the layers of a run that is recorded, unless they have something that was left."""
    if routing is not None and found.left is None:
        routing.remove()


def digested(diverted: Iterable[Diverted], outputs: Iterable[RunOutput]) -> tuple[Diverted, ...]:
    """Return what was kept with size and digest, which it has as an output."""
    known = {one.path: one for one in outputs}
    return tuple(
        replace(one, size=known[one.path].size, digest=known[one.path].digest)
        if one.path in known
        else one
        for one in diverted
    )


def reported(ctx: Context, diverted: tuple[Diverted, ...], run_id: str) -> Iterator[Finding]:
    """Yield a finding for each diverted write that the policy wants to know of."""
    if not any(one.gold_path is not None for one in diverted):
        return
    from dataguard.actions.diversion import findings_of_diverted  # noqa: PLC0415  as above

    yield from findings_of_diverted(ctx, diverted, run_id)
