"""Places on this host: what a policy names, and whether outputs may go somewhere."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.model.area import Area
    from dataguard.model.finding import Code

__all__ = ["Person", "Placement", "Places"]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom `{user}` and `{home}` in places stand for."""

    user: str
    home: str


@dataclass(frozen=True, slots=True)
class Places:
    """What the places of a policy mean on this host.

    `areas` are those the catalog knows: registered locations and the outputs of workspaces, each
    under all its absolute paths. `equivalents` maps a place that the policy names (see
    `core.areas.named_places`) to its other absolute paths.
    """

    person: Person
    areas: tuple[Area, ...] = ()
    equivalents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Whether outputs may go to a place: `code` is None where they may.

    `area` is the area that decided, if any holds the place.
    """

    place: str
    area: Area | None
    code: Code | None
    reason: str
