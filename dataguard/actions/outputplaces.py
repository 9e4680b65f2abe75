"""Where somebody who tried to write into gold may write, and whether a copy would land in gold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.footprint import gold_of, refuse_gold
from dataguard.actions.goldrecords import reading
from dataguard.actions.settings import load_policy
from dataguard.errors import DataguardError
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.model.actor import Actor
    from dataguard.model.settings import Settings

__all__ = ["refuse_destination", "right_place"]

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


def refuse_destination(settings: Settings, actor: Actor, destination: str) -> None:
    """Refuse to copy something to a place in gold.

    Raises:
        PolicyError: it is in gold.
        DataguardError: that cannot be told.
    """
    with reading(settings) as records:
        gold = gold_of(records)
    policy = load_policy(settings).policy
    refuse_gold(policy, actor, gold, {"the destination": destination})
