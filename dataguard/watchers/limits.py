"""Limits of the host that keep a source from seeing everything."""

from __future__ import annotations

from dataguard.model.watch import Limit

__all__ = ["limit", "value_of"]


def value_of(path: str) -> int:
    """Return the number in a file of /proc/sys; -1 where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return -1


def limit(path: str, used: int | None) -> Limit:
    """Return a limit by its file below /proc/sys, with how to double it."""
    name = path.removeprefix("/proc/sys/").replace("/", ".")
    value = value_of(path)
    return Limit(name, value, used, f"sysctl -w {name}={max(2 * value, 1)}")
