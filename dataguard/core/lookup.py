"""Finds digests in a sorted column of them."""

from __future__ import annotations

from dataguard.core.numeric import np

__all__ = ["lookup"]


def lookup(
    known: np.ndarray, wanted: np.ndarray, *, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of the number of a wanted digest and of a place in `known` that has it.

    `known` is ascending. Pairs come in the order of what is wanted; of each `most` places at most.
    """
    starts = np.searchsorted(known, wanted, "left")
    counts = np.searchsorted(known, wanted, "right") - starts
    if most is not None:
        counts = np.minimum(counts, most)
    queries = np.repeat(np.arange(len(wanted)), counts)
    within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    return queries, np.repeat(starts, counts) + within
