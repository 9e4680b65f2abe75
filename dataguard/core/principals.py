"""Who wrote to an object, as evidence: what the event of the store says, else `unknown`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.writers import UNKNOWN

if TYPE_CHECKING:
    from dataguard.model.watch import Writer

__all__ = ["principal_evidence"]


def principal_evidence(writer: Writer | None) -> dict[str, object]:
    """Return `writer` as evidence: the principal and the address that an event named."""
    principal = writer.principal if writer is not None else ""
    address = writer.address if writer is not None else ""
    return {"writer": {"principal": principal or UNKNOWN, "address": address or UNKNOWN}}
