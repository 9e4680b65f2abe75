"""Whose copies are told by name: a finding of a copy names its path to those who may look at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.model.finding import Code

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.finding import Finding

__all__ = ["as_told"]

_COPIES = frozenset({Code.DG201, Code.DG202, Code.DG203, Code.DG204})
_WITHHELD = "; its path is told to its owner, to root, and to who may look at it there"


def as_told(ctx: Context, finding: Finding) -> Finding:
    """Return a finding as the caller may see it: its id, and without its path if need be.

    What cannot be looked at now, for whatever reason, is told to its owner and to root alone.
    """
    if finding.code not in _COPIES or ctx.actor.uid in (0, finding.evidence.get("uid")):
        return finding
    from dataguard.stores.copylook import file_id  # noqa: PLC0415  few findings are of copies

    try:
        file_id(finding.path)
    except OSError:
        message = finding.message + _WITHHELD
        return replace(finding, path=b"", message=message, known_id=finding.id)
    return finding
