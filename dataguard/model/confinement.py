"""How a job is confined: the layers that hold, and what can be relied on."""

from __future__ import annotations

from enum import StrEnum

from dataguard.model.dataclass import dataclass

__all__ = ["Confinement", "Layer", "Mode", "Step"]


class Mode(StrEnum):
    """What a job may write, from much to little.

    `unconfined`: what its user may. `protect`: everything but gold. `strict`: only what is listed.
    """

    UNCONFINED = "unconfined"
    PROTECT = "protect"
    STRICT = "strict"


class Step(StrEnum):
    """The ladder from the weakest step to the strongest: what holds against a job."""

    CHECKED = "checked"
    LANDLOCK = "landlock"
    MOUNTS = "mounts"
    FULL = "full"

    @property
    def rank(self) -> int:
        """Order: checked < landlock < mounts < full."""
        return list(Step).index(self)

    @property
    def guarantee(self) -> str:
        """One sentence a user can rely on."""
        return _GUARANTEES[self]


_GUARANTEES = {
    Step.FULL: "the job and all its children cannot change gold, neither content nor metadata, and "
    "cannot regain the right to; services outside that act for it are not covered",
    Step.MOUNTS: "the job cannot change gold at the paths that lead to it now, neither content nor "
    "metadata; disks it may write to and services outside are not covered",
    Step.LANDLOCK: "the job cannot create, change, rename or delete anything in gold, but can "
    "change modes, owners, times and attributes of files that are its user's",
    Step.CHECKED: "verified before and after only: the job can write wherever its user can",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: whether it holds, and how or why not."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a job was, or would be, confined.

    `weaker_because` says of each stronger way why it cannot be had on this host.
    """

    mode: Mode
    step: Step
    guarantee: str
    layers: tuple[Layer, ...] = ()
    weaker_because: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Whether a layer holds."""
        return any(layer.name == name and layer.holds for layer in self.layers)
