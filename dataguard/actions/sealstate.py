"""What seal a place has now, as far as that can be told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.sealing import notice
from dataguard.errors import StoreUnreachableError
from dataguard.model.policy import Seal
from dataguard.model.seal import SEAL_GONE

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.dataset import Location

__all__ = ["found_seal"]


def found_seal(ctx: Context, location: Location) -> tuple[Seal | None, str]:
    """Return the seal of a place, and what is to be said of it; None where nobody can tell.

    Believes the record as far as the root directory still has the seal: audits look at the rest.
    """
    record = ctx.catalog.seal(location.place)
    said = notice(record, ctx.clock())
    if record is None or record.holds is Seal.NONE:
        return Seal.NONE, said
    from dataguard.stores.sealcheck import SealCheck  # noqa: PLC0415  only where there is a seal

    try:
        with SealCheck(location.place, record.kind) as check:
            holds = check.holds(b"")
    except StoreUnreachableError as err:
        return None, err.message
    return (record.kind, "") if holds else (Seal.NONE, SEAL_GONE[record.kind])
