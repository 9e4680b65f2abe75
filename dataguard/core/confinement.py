"""What the layers around a job come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.model.confinement import Confinement, Layer, Mode, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UNCONFINED", "confinement_of", "too_wide"]

_ENDED_WITH_THE_RUN = "what the job leaves behind goes on"

UNCONFINED = Confinement(
    Mode.UNCONFINED,
    Step.CHECKED,
    Step.CHECKED.guarantee,
    (
        Layer("mounts", holds=False, detail="--unconfined"),
        Layer("capabilities", holds=False, detail="--unconfined"),
        Layer("landlock", holds=False, detail="--unconfined"),
        Layer("processes", holds=False, detail=f"--unconfined: {_ENDED_WITH_THE_RUN}"),
    ),
)
"""A job that has all the rights of its user."""


def confinement_of(
    mode: Mode, layers: tuple[Layer, ...], weaker_because: tuple[str, ...]
) -> Confinement:
    """Return the step of the ladder that the layers reach, with its guarantee.

    Read-only mounts count only where the job cannot undo them.
    """
    holding = {layer.name for layer in layers if layer.holds}
    mounted = {"mounts", "capabilities"} <= holding
    landlocked = "landlock" in holding
    if mounted:
        step = Step.FULL if landlocked else Step.MOUNTS
    else:
        step = Step.LANDLOCK if landlocked else Step.CHECKED
    return Confinement(mode, step, step.guarantee, layers, weaker_because)


def too_wide(places: Iterable[str], gold: Iterable[str]) -> tuple[str, ...]:
    """Return the places that hold gold: to allow writing there would allow it in gold."""
    golden = tuple(gold)
    return tuple(place for place in places if any(is_inside(one, place) for one in golden))
