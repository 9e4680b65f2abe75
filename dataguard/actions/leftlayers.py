"""Diverted writes of a run that was killed: still in its layers, or in its record already."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from dataguard.actions.diversion import LedAway, Routing, labels_of
from dataguard.errors import ConflictError
from dataguard.model.diversion import Diverted, DivertedKind
from dataguard.model.run import RunState
from dataguard.sandbox.plan import Route
from dataguard.stores.layers import Layers, layers_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.model.run import Run

__all__ = ["diverted_of", "has_layers", "left_routing"]

_LEFT = "diverted"


def has_layers(run: Run) -> bool:
    """Whether layers of a run that is over are on this host: with writes, or forgotten ones."""
    return bool(_place(run))


def left_routing(ctx: Context, run: Run) -> Routing | None:
    """Open the layers that a run left; None where there are none.

    Those that its record does not name have nothing that is not recorded: there is no input to
    look for.

    Raises:
        ConflictError: they are another user's, or something else is in their place.
        NotFoundError: they went away just now.
    """
    place = _place(run)
    if not place:
        return None
    if run.actor.uid != ctx.actor.uid:
        raise ConflictError(
            f"run {run.id} is of {run.actor.user}: its diverted writes are that user's",
            hint=f"as {run.actor.user}: dataguard run --finish {run.id}",
        )
    layers = Layers.left(place)
    led = tuple(_led_away(run, layers)) if _LEFT in run.metadata else ()
    return Routing(layers, led, ())


def diverted_of(record: Mapping[str, Any]) -> tuple[Diverted, ...]:
    """Return the diverted writes that the record of a run lists.

    Raises:
        ConflictError: it has another form.
    """
    try:
        return tuple(_diverted(row) for row in record.get("diverted") or ())
    except (KeyError, TypeError, ValueError) as err:
        raise ConflictError("run.json is no record of a run any more") from err


def _place(run: Run) -> str:
    """Return where layers of a run are, or nothing."""
    place = run.metadata.get(_LEFT)
    if place is None and run.state is not RunState.RUNNING and "://" not in run.outputs:
        place = layers_place(run.outputs, run.id)
    return place if place is not None and os.path.isdir(place) else ""


def _led_away(run: Run, layers: Layers) -> Iterator[LedAway]:
    """Yield the inputs of a run whose layers were made, as they were led away."""
    gold = {os.path.realpath(one.location): one for one in reversed(run.inputs)}
    named = ((os.path.realpath(one.location), one.name) for one in run.inputs)
    for path, label in labels_of(named).items():
        one, layer = gold[path], layers.of(label)
        if os.path.isdir(layer.upper):
            route = Route(
                (path,), layer.upper, layer.work, f"dataguard:{one.dataset}@{one.version}"
            )
            yield LedAway(label, one.dataset, one.version, route)


def _diverted(row: Mapping[str, Any]) -> Diverted:
    path = _path(row, "path")
    return Diverted(
        path=path if path is not None else b"",
        kind=DivertedKind(row["kind"]),
        size=row["size"],
        digest=row["digest"],
        dataset=row["dataset"],
        version=row["version"],
        gold_path=_path(row, "gold_path"),
        entry=row["entry"],
        origin=_path(row, "origin"),
        detail=row["detail"],
        kept=row["kept"],
    )


def _path(row: Mapping[str, Any], name: str) -> bytes | None:
    raw, text = row.get(f"{name}_b64"), row[name]
    if raw is not None:
        return b64decode(raw)
    return None if text is None else text.encode()
