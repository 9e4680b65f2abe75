"""Whose copies are told by name: a finding of a copy names its path to those who may look at it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.core.objectplaces import is_objects
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.finding import Finding

__all__ = ["as_told"]

_COPIES = frozenset({Code.DG201, Code.DG202, Code.DG203, Code.DG204})
_WITHHELD = "; its path is told to its owner, to root, and to who may look at it there"
_REMOTE = "; its path is told to root and to who found it: dataguard copies s3://BUCKET"


def as_told(ctx: Context, finding: Finding) -> Finding:
    """Return a finding as the caller may see it: its id, and without its path if need be.

    What cannot be looked at now, for whatever reason, is told to its owner and to root alone. Who
    may look at an object only its store can say, which is not asked: it is told to who found it.
    """
    evidence = finding.evidence
    known = (0, evidence.get("uid"), evidence.get("found_by"))
    if finding.code not in _COPIES or ctx.actor.uid in known:
        return finding
    if is_objects(os.fsdecode(finding.path)):
        return _withheld(finding, _REMOTE)
    from dataguard.stores.copylook import file_id  # noqa: PLC0415  few findings are of copies

    try:
        file_id(finding.path)
    except OSError:
        return _withheld(finding, _WITHHELD)
    return finding


def _withheld(finding: Finding, why: str) -> Finding:
    return replace(finding, path=b"", message=finding.message + why, known_id=finding.id)
