"""What data lies on, as far as it decides how many readers serve it best."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Medium"]


class Medium(StrEnum):
    """The kind of storage under a place.

    A `virtual` disk says that it rotates, as hypervisors do of every disk: nobody knows.
    """

    MEMORY = "memory"
    SOLID_STATE = "solid-state disk"
    ROTATIONAL = "rotational disk"
    VIRTUAL = "virtual disk"
    NETWORK = "network"
    UNKNOWN = "unknown storage"
