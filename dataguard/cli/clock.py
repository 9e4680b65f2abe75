"""The clock of commands: they read it here, and what is below is given it."""

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)
