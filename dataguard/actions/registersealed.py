"""`register --seal`: record a source as a version, and seal it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.places import open_store, source_place
from dataguard.actions.register import register
from dataguard.actions.seal import seal
from dataguard.actions.sealing import refuse_mounts_below
from dataguard.core.objectplaces import is_objects
from dataguard.errors import UsageError
from dataguard.stores.sealing import check_sealable

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.actions.registration import Request
    from dataguard.model.policy import Seal
    from dataguard.model.results.register import RegisterResult

__all__ = ["register_sealed"]


def register_sealed(ctx: Context, request: Request, kind: Seal) -> RegisterResult:
    """Register a source, then seal it; what can be refused of the seal is refused before.

    What is recorded stays where sealing fails or is interrupted: `dataguard seal` goes on.

    Raises:
        UsageError: the file system has no such seal, or the caller may not set it.
        DataguardError: as `register` and `seal`.
    """
    place = source_place(request.location, home=ctx.settings.home.value)
    if is_objects(place):
        raise UsageError(
            f"{place} cannot be sealed: seals are flags and permissions of files",
            hint="a bucket has object locks and policies: dataguard policy export",
        )
    filesystem = open_store(ctx, place).filesystem()
    check_sealable(place, "" if filesystem is None else filesystem.kind, kind)
    refuse_mounts_below(place)
    result = register(ctx, request)
    if result.refused or result.dry_run:
        return result
    sealed = seal(ctx, f"{result.dataset}@{result.version}", kind, place=result.location)
    return replace(result, seal=sealed)
