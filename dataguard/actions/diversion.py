"""Writes of a job that are led away from gold: where they go, and what came of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataguard.actions.findings import finding_of
from dataguard.core.paths import is_inside
from dataguard.core.verdicts import Difference
from dataguard.errors import NotStartedError, StoreUnreachableError
from dataguard.model.diversion import Diverted, Harvest, Reported
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code
from dataguard.mounts.layering import ways_to, why_no_layers_in, why_no_overlay_over
from dataguard.mounts.privilege import may_mount
from dataguard.sandbox.plan import Kind, Route
from dataguard.stores.harvest import survey
from dataguard.stores.keeping import keep
from dataguard.stores.layers import Layers, layers_place
from dataguard.stores.twins import Marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.actions.inputs import JobInput
    from dataguard.model.finding import Finding
    from dataguard.sandbox.plan import Mark
    from dataguard.stores.harvest import Change
    from dataguard.stores.rundirectory import RunDirectory

__all__ = [
    "LedAway",
    "Routing",
    "divert",
    "findings_of_diverted",
    "harvest",
    "labels_of",
]

_PLACE = "diverted"
_HINT = "leave --writes route out: writes into inputs are refused then"


@dataclass(frozen=True, slots=True)
class LedAway:
    """One input whose writes are led away; `label` is its directory in the run's."""

    label: str
    dataset: str
    version: int
    route: Route


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the writes of one job go: `layers`, to which the paths `hidden` lead."""

    layers: Layers
    inputs: tuple[LedAway, ...]
    hidden: tuple[str, ...]

    @property
    def routes(self) -> tuple[Route, ...]:
        """What the shim is to do."""
        return tuple(one.route for one in self.inputs)

    def check(self, marks: Iterable[Mark]) -> None:
        """Refuse what the overlay would hide, or Landlock allow by it: other places below an input.

        Raises:
            NotStartedError: other gold, or a place for outputs, lies inside an input.
        """
        for mark in marks:
            for one in self.inputs:
                gold = one.route.gold
                if mark.path != gold and is_inside(mark.path, gold):
                    what = "other gold" if mark.kind is Kind.GOLD else "a place for outputs"
                    raise NotStartedError(
                        f"writes into {one.dataset} cannot be routed: {what} lies in it, "
                        f"{mark.path}",
                        hint=_HINT,
                    )

    def remove(self) -> None:
        """Remove the layers with all that is in them."""
        self.layers.remove()


def divert(inputs: tuple[JobInput, ...], run_directory: str, run_id: str) -> Routing:
    """Make the layers for a job's inputs.

    Raises:
        NotStartedError: an overlay cannot lie over an input, or have its layers there.
        StoreUnreachableError: they cannot be made.
    """
    place = layers_place(run_directory, run_id)
    _check_places(inputs)
    paths = _paths(inputs)
    for gold in paths:
        _check(gold, place)
    layers = Layers.made(place)
    try:
        led = tuple(_led_away(inputs, layers, paths))
        return Routing(layers, led, ways_to(place))
    except BaseException:
        layers.remove()
        raise


def _check_places(inputs: tuple[JobInput, ...]) -> None:
    """Refuse inputs that no overlay can lie over: the kernel stacks only two of them.

    Raises:
        NotStartedError: one is shown from the node cache, or lies in an object store.
    """
    for one in inputs:
        remote = one.location is not None and "://" in one.location.place
        if remote or one.cache is not None:
            raise NotStartedError(
                f"writes into {one.name} cannot be routed: it is shown from the node cache",
                hint="leave --writes route out, or mount a local copy with --backend bind",
            )


def harvest(routing: Routing, directory: RunDirectory) -> Harvest:
    """Move what was led away into the run's directory and list it.

    The layers are left: what they say of deletions is nowhere else until the run's record is
    written. They are to stay where something in them could not be looked at or moved.
    """
    marks = Marks.TRUSTED if may_mount() else Marks.USER
    diverted: list[Diverted] = []
    gaps: list[Unreadable] = []
    kept = ""
    for one in routing.inputs:
        try:
            upper = routing.layers.of(one.label).upper
            found = survey(upper, one.route.gold, marks)
            if found.changes and not kept:
                kept = directory.make_place(_PLACE)
            unmoved = keep(found.changes, upper, directory.place, _below(kept, one))
            lost = {gap.path for gap in unmoved}
            diverted += (_diverted(one, change, kept, lost) for change in found.changes)
            left = (*found.unreadable, *unmoved)
        except OSError as err:
            left = (Unreadable(b"", Obstacle.VANISHED, err.strerror or str(err)),)
        except StoreUnreachableError as err:
            left = (Unreadable(b"", Obstacle.DENIED, err.message),)
        gaps += (replace(gap, path=_below(_PLACE, one, gap.path)) for gap in left)
    return Harvest(tuple(diverted), tuple(gaps), routing.layers.place if gaps else None)


def findings_of_diverted(
    ctx: Context, diverted: Iterable[Diverted], run_id: str
) -> Iterator[Finding]:
    """Yield a DG302 for each diverted write that the policy wants to know of."""
    reported, now = ctx.policy.run.diverted, ctx.clock()
    for one in diverted:
        if one.dataset is None or one.gold_path is None or reported is Reported.NONE:
            continue
        if one.kind.is_edit or reported is Reported.ALL:
            evidence = {"source": "overlay", "run": run_id, "kind": str(one.kind)}
            said = f"a job's write was led away: {one.kind}"
            if one.detail:
                said += f", {one.detail}"
            found = Difference(Code.DG302, one.gold_path, said, evidence)
            yield finding_of(ctx, found, one.dataset, one.version, now)


def _paths(inputs: Iterable[JobInput]) -> dict[str, tuple[str, ...]]:
    """Return the real path of each input's gold, with that and all others that show it to a job."""
    found: dict[str, tuple[str, ...]] = {}
    for one in inputs:
        gold = _gold_of(one)
        if gold:
            seen = [os.path.realpath(path) for path in (one.path, one.target) if path]
            shown = (path for path in seen if os.path.isdir(path))
            found[gold] = tuple(dict.fromkeys((*found.get(gold, (gold,)), *shown)))
    return found


def _gold_of(one: JobInput) -> str:
    return "" if one.location is None else os.path.realpath(one.location.place)


def _check(gold: str, place: str) -> None:
    outputs = os.path.dirname(place)
    reason = why_no_overlay_over(gold)
    if reason is None and is_inside(outputs, gold):
        reason = f"the outputs place {outputs} lies in it"
    if reason is not None:
        raise NotStartedError(f"writes into {gold} cannot be routed: {reason}", hint=_HINT)
    reason = why_no_layers_in(outputs)
    if reason is not None:
        raise NotStartedError(
            f"writes cannot be routed to {outputs}: {reason}",
            hint="--output PLACE on a local disk",
        )


def _led_away(
    inputs: Iterable[JobInput], layers: Layers, paths: Mapping[str, tuple[str, ...]]
) -> Iterator[LedAway]:
    """Yield the inputs with layers made for them, each place of gold once."""
    known = [one for one in inputs if one.version is not None and one.location is not None]
    labels = labels_of((_gold_of(one), one.name) for one in known)
    for one in known:
        label, seen = labels.pop(_gold_of(one), None), paths.get(_gold_of(one))
        if label is not None and seen is not None and one.version is not None:
            layer = layers.make(label, seen[0])
            name = f"dataguard:{one.version.dataset}@{one.version.number}"
            route = Route(seen, layer.upper, layer.work, name)
            yield LedAway(label, one.version.dataset, one.version.number, route)


def labels_of(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the directory in the layers for each place of gold, of the first input that has it.

    The same inputs in the same order have the same labels.
    """
    labels: dict[str, str] = {}
    for gold, name in named:
        if gold not in labels:
            labels[gold] = _free(name.replace("/", "_"), labels.values())
    return labels


def _free(label: str, taken: Collection[str]) -> str:
    names = (label, *(f"{label}-{number}" for number in range(1, len(taken) + 1)))
    return next(name for name in names if name not in taken)


def _below(place: str, one: LedAway, path: bytes = b"") -> bytes:
    below = os.path.join(os.fsencode(place), os.fsencode(one.label))
    return os.path.join(below, path) if path else below


def _diverted(one: LedAway, change: Change, kept: str, lost: Collection[bytes]) -> Diverted:
    is_kept = change.is_kept and change.path not in lost
    return Diverted(
        path=_below(kept, one, change.path),
        kind=change.kind,
        size=change.size if is_kept else None,
        dataset=one.dataset,
        version=one.version,
        gold_path=change.path,
        entry=change.entry,
        origin=change.origin,
        detail=change.detail,
        kept=is_kept,
    )
