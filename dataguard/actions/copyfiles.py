"""The files of a place that are looked into, whatever their size: one walk more, nothing read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.places import store_of
from dataguard.core.columns import kind_mask, number_column, numbers, raw_paths
from dataguard.core.kernels import taken
from dataguard.core.numeric import np
from dataguard.model.digest import Algorithm, DigestPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.stores.walk import Exclusion

__all__ = ["files_of"]


def files_of(
    ctx: Context,
    place: str,
    least: int,
    *,
    left_out: Exclusion | None = None,
    listed: Sequence[bytes] | None = None,
) -> Iterator[bytes]:
    """Yield the relative paths of regular files of `least` bytes or more, in path order.

    `listed` are the only ones to look at, where it is given.

    Raises:
        StoreUnreachableError: the place does not answer.
    """
    store, plan = store_of(ctx, place, left_out=left_out), DigestPlan(Algorithm.XXH3_128)
    if listed is None:
        pieces = store.scan(plan, read=False)
    else:
        pieces = store.read_paths(listed, plan, read=False)
    for piece in pieces:
        entries = piece.entries
        kept = kind_mask(entries, "f") & (numbers(entries.column("size")) >= least)
        yield from taken(raw_paths(entries), number_column(np.flatnonzero(kept))).to_pylist()
