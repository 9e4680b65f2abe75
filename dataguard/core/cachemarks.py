"""How much has to go from the node cache before more may come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataguard.errors import ConfigurationError, UsageError
from dataguard.model.cache import Marks
from dataguard.model.dataclass import dataclass
from dataguard.model.size import parse_size

if TYPE_CHECKING:
    from dataguard.model.settings import Setting

__all__ = ["Shortage", "marks_of", "shortage"]

_SHARE = re.compile(r"([0-9]{1,3})%")
_LEAST_RESERVE = 64 << 20
_RESERVED_SHARE = 100
"""A hundredth of the file system is never taken, as far as that is not more than the minimum."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """Bytes that have to go, and bytes that had better go while something has to."""

    must: int = 0
    should: int = 0


def shortage(used: int, incoming: int, available: int, marks: Marks) -> Shortage:
    """Return what has to go for `incoming` bytes.

    `used` are the bytes of the cache, `available` what its file system has left. Afterwards
    `used + incoming` is at most `high`, or `low` where all that should go may go.
    """
    over = used + incoming - marks.high
    short = incoming + marks.reserve - available
    must = max(over, short, 0)
    if not must:
        return Shortage()
    return Shortage(must, min(used, max(must, used + incoming - marks.low)))


def marks_of(high: Setting, low: Setting, capacity: int) -> Marks:
    """Return the marks in bytes of settings that are sizes, or shares of a file system: `80%`.

    Raises:
        ConfigurationError: one is neither, or the low mark is above the high one.
    """
    upper, lower = _bytes(high, capacity), _bytes(low, capacity)
    if lower > upper:
        raise ConfigurationError(
            f"{low.source}: the low mark {low.value} of the cache is above the high one, "
            f"{high.value}",
            hint='write [cache] high = "80%" and low = "70%", or sizes: 500G',
        )
    reserve = min(_LEAST_RESERVE, capacity // _RESERVED_SHARE)
    return Marks(upper, lower, reserve)


def _bytes(setting: Setting, capacity: int) -> int:
    share = _SHARE.fullmatch(setting.value)
    try:
        if share is None:
            return parse_size(setting.value)
    except UsageError as err:
        raise ConfigurationError(
            f"{setting.source}: {setting.name} cannot be `{setting.value}`",
            hint='write a size, or a share of the file system: "500G", "80%"',
        ) from err
    if int(share[1]) > 100:  # noqa: PLR2004  per cent
        raise ConfigurationError(f"{setting.source}: {setting.name} is more than the file system")
    return capacity * int(share[1]) // 100
