"""Durations as users write them: `90d`, `12h`, `30m`."""

from __future__ import annotations

import re
from datetime import timedelta

from dataguard.errors import UsageError

__all__ = ["format_duration", "parse_duration"]

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_duration(text: str) -> timedelta:
    """Read a number and a unit: s(econds), m(inutes), h(ours), d(ays) or w(eeks).

    Raises:
        UsageError: the text has another form.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"`{text}` is no duration", hint="write a number and s, m, h, d or w: 90d, 12h, 30m"
        )
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def format_duration(duration: timedelta) -> str:
    """Write whole seconds in the largest unit that needs no fraction, but not in weeks."""
    seconds = int(duration.total_seconds())
    unit = next(u for u in "dhms" if seconds % _SECONDS[u] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"
