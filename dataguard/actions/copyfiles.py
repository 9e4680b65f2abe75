"""The files of a place that are looked into, whatever their size: walked once for all that look."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataguard.actions.places import store_of
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores.beginnings import Beginnings
from dataguard.stores.copylook import CopyLook
from dataguard.stores.fileroll import FileRoll

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.stores.walk import Exclusion

__all__ = ["PlaceFiles", "place_files", "walked"]


@dataclass(frozen=True, slots=True)
class PlaceFiles:
    """The files of a place, or those of it that were listed; `keep` remembers what is told.

    No more than `rate` bytes of them a second are to be read, where it is not 0.
    """

    place: str
    roll: FileRoll
    contents: Beginnings
    look: CopyLook
    is_list: bool
    keep: bool
    rate: int

    @property
    def prefix(self) -> bytes:
        """What a relative path is appended to."""
        return os.fsencode(self.place).rstrip(b"/") + b"/"


@contextmanager
def place_files(
    place: str, roll: FileRoll, *, is_list: bool = False, keep: bool = False, rate: int = 0
) -> Iterator[PlaceFiles]:
    """Hold a place open for all that look into its files.

    Raises:
        OSError: it cannot be opened.
    """
    with Beginnings(place) as contents, CopyLook(place) as look:
        yield PlaceFiles(place, roll, contents, look, is_list, keep, rate)


def walked(
    ctx: Context,
    place: str,
    least: int,
    *,
    left_out: Exclusion | None = None,
    listed: Sequence[bytes] | None = None,
) -> FileRoll:
    """Return the regular files of `least` bytes or more in a place, unread; to be closed.

    `listed` are the only ones, relative to the place, where it is given.

    Raises:
        StoreUnreachableError: the place does not answer.
    """
    store, plan = store_of(ctx, place, left_out=left_out), DigestPlan(Algorithm.XXH3_128)
    roll = FileRoll(least)
    if listed is None:
        pieces = store.scan(plan, read=False)
    else:
        pieces = store.read_paths(listed, plan, read=False)
    for piece in pieces:
        roll.add(piece.entries)
    return roll
