"""The account of redundant copies: what they cost by user, place, dataset and age."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dataguard.model.copies import AccountLine, CopyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from dataguard.model.copies import Copy

__all__ = ["BY", "account", "age_words"]

BY = ("user", "place", "dataset", "age")
"""What the account is told by, in this order; each adds up to the whole."""

_DAY_NS = 86_400 * 10**9
_AGES = ((30, "under 30 days"), (365, "30 days to 1 year"))
_OLDEST = "1 year and older"


class _Sum(NamedTuple):
    files: int = 0
    size: int = 0
    reclaimable: int = 0

    def plus(self, files: int, size: int, reclaimable: int) -> _Sum:
        return _Sum(self.files + files, self.size + size, self.reclaimable + reclaimable)


def account(
    copies: Iterable[Copy],
    users: Mapping[int, str],
    place_of: Callable[[bytes], str],
    now: datetime,
) -> tuple[AccountLine, ...]:
    """Return a line for each user, place, dataset and age, the most expensive first.

    `users` has the names of user ids. Links cost nothing and are not counted. Law: the lines of
    each kind add up to the same files, bytes and reclaimable bytes.
    """
    sums: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
    for names, total in _by_all(copies, users, place_of, now).items():
        for key in zip(BY, names, strict=True):
            sums[key] = sums[key].plus(*total)
    lines = [AccountLine(by, name, *total) for (by, name), total in sums.items()]
    return tuple(sorted(lines, key=lambda line: (BY.index(line.by), -line.reclaimable, line.name)))


def _by_all(
    copies: Iterable[Copy],
    users: Mapping[int, str],
    place_of: Callable[[bytes], str],
    now: datetime,
) -> dict[tuple[str, str, str, str], _Sum]:
    """Return what copies cost that are alike in all that the account is told by."""
    sums: defaultdict[tuple[str, str, str, str], _Sum] = defaultdict(_Sum)
    places: dict[bytes, str] = {}
    for one in copies:
        if one.kind is CopyKind.LINK:
            continue
        state, directory = one.state, one.path.rpartition(b"/")[0]
        if directory not in places:
            places[directory] = place_of(one.path)
        user = "" if state is None else users.get(state.uid, str(state.uid))
        age = age_words(None if state is None else state.mtime_ns, now)
        key = user, places[directory], one.reference, age
        sums[key] = sums[key].plus(1, one.bytes, one.reclaimable)
    return sums


def age_words(mtime_ns: int | None, now: datetime) -> str:
    """Return how long ago a file was written, in the words of the account."""
    if mtime_ns is None:
        return "unknown"
    days = (int(now.timestamp() * 10**9) - mtime_ns) // _DAY_NS
    return next((words for limit, words in _AGES if days < limit), _OLDEST)
