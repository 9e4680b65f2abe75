"""Where somebody who tried to write into gold may write, and whether a copy would land in gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.footprint import gold_of, refuse_gold
from dataguard.actions.goldrecords import reading, state_of
from dataguard.actions.settings import load_policy
from dataguard.catalog.address import database_path
from dataguard.errors import DataguardError
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.model.actor import Actor
    from dataguard.model.area import Area
    from dataguard.model.settings import Settings

__all__ = ["Destinations", "right_place"]

_OUTPUTS = "DATAGUARD_OUTPUTS"


def right_place(environ: Mapping[str, str], directory: str) -> str:
    """Return in words where to write instead: the run's outputs, the workspace's, or how to.

    `directory` is where somebody works.
    """
    outputs = environ.get(_OUTPUTS)
    if outputs:
        return f"write to {outputs} (${_OUTPUTS})"
    try:
        found = workspaces.find(directory)
        if found is not None:
            return f"write to {workspaces.read(found).outputs}, the outputs of {found}"
    except DataguardError:
        pass  # a workspace that cannot be read names no place; commands say what is wrong with it
    return "make a place for outputs: dataguard workspace init DIR --outputs PLACE"


class Destinations:
    """Where copies may go: by the policy of when this was made, and the gold of each moment.

    All methods raise:
        DataguardError: that cannot be told.
    """

    def __init__(self, settings: Settings, actor: Actor) -> None:
        """Read the policy."""
        self._settings, self._actor = settings, actor
        self._policy = load_policy(settings).policy
        self._catalog = database_path(settings.catalog.value)
        self._state: tuple[int, int, int] | None = None
        self._gold: tuple[Area, ...] = ()

    def refuse(self, destination: str) -> None:
        """Refuse to copy something to a place in gold.

        Raises:
            PolicyError: it is in gold.
        """
        state = state_of(self._catalog)
        if state != self._state:
            with reading(self._settings) as records:
                self._gold = gold_of(records)
            self._state = state
        refuse_gold(self._policy, self._actor, self._gold, {"the destination": destination})
