"""`tag`: let a name mean a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.dataset import VersionState
from dataguard.model.reference import Reference, check_tag_name
from dataguard.model.results.tag import TagResult

if TYPE_CHECKING:
    from dataguard.actions.context import Context

__all__ = ["tag"]


def tag(ctx: Context, reference: str, name: str, *, dry_run: bool = False) -> TagResult:
    """Move a tag to a version; where it was before stays in the log.

    Raises:
        NotFoundError: the reference means nothing.
        UsageError: the tag is none.
        ConflictError: the version is withdrawn or quarantined.
    """
    check_tag_name(name)
    version = ctx.catalog.resolve(Reference.parse(reference))
    if version.state in (VersionState.WITHDRAWN, VersionState.QUARANTINED):
        raise ConflictError(
            f"{version.reference} is {version.state}: {version.state_reason}",
            hint="tag a version that may be used",
        )
    before = [known.version for known in ctx.catalog.tags(version.dataset) if known.name == name]
    if not dry_run:
        with ctx.catalog.transaction() as tx:
            tx.move_tag(version.dataset, name, version.number)
    previous = before[0] if before else None
    return TagResult(
        version.dataset, name, version.number, str(version.root), previous, dry_run=dry_run
    )
