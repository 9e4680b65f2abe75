"""A lease in words, for reports and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import display, escape
from dataguard.model.lease import LeaseKind, LeaseState

if TYPE_CHECKING:
    from dataguard.model.lease import Lease

__all__ = ["lease_words"]


def lease_words(lease: Lease) -> str:
    """Say who uses a version, where, since when, and how certain that is."""
    is_mount = lease.kind is LeaseKind.MOUNT
    subject = display(lease.subject.encode("utf-8", "surrogateescape"))
    what = f"mounted at {subject}" if is_mount else f"read by run {subject}"
    who = f"{escape(lease.user)} on {escape(lease.host)} since {lease.since:%Y-%m-%d %H:%M:%SZ}"
    said = "" if lease.state is LeaseState.LIVE else f"{lease.state}: "
    detail = f" ({said}{lease.detail})" if said or lease.detail else ""
    return f"{what} by {who}{detail}"
