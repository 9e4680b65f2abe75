"""Whom the places of a policy mean for an account."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

from dataguard.model.placement import Person

if TYPE_CHECKING:
    from dataguard.model.actor import Actor

__all__ = ["person_of"]


def person_of(actor: Actor) -> Person:
    """Return whom the places of a policy mean for an account."""
    try:
        home = pwd.getpwuid(actor.uid).pw_dir
    except KeyError:
        home = "/"
    return Person(actor.user, home)
