"""Files that begin as gold does: truncated ones, and ones to which something was appended.

The first 4 KiB decide which pairs are compared at all. Longer beginnings part those that share a
header, and the bytes themselves decide.
"""

from __future__ import annotations

from enum import StrEnum

from dataguard.core.lookup import lookup
from dataguard.core.numeric import np
from dataguard.model.dataclass import dataclass

__all__ = ["HEAD_BYTES", "Heads", "Part", "heads_of", "part_of"]

HEAD_BYTES = 4096
"""What is read of a file to know whether it may begin as another; shorter ones are left out."""


class Part(StrEnum):
    """How a file and an original that share bytes are related.

    The first two begin alike, which takes no chunks to see. An `excerpt` lies within the original,
    the original lies whole in a file where it is `embedded`; all else is `shifted`.
    """

    TRUNCATED = "truncated"
    APPENDED = "appended"
    EXCERPT = "excerpt"
    EMBEDDED = "embedded"
    SHIFTED = "shifted"


@dataclass(frozen=True, slots=True)
class Heads:
    """Digests of the first 4 KiB of a version's files, ascending, with the files' rows and sizes.

    `rows` are those of the manifest.
    """

    heads: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray

    def find(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs of the number of a wanted digest and of a file here that has it.

        In the order of what is wanted; files are numbered by their place in the columns.
        """
        return lookup(self.heads, wanted)


def heads_of(heads: np.ndarray, rows: np.ndarray, sizes: np.ndarray) -> Heads:
    """Return the digests of files in the order in which they are looked up."""
    order = np.argsort(heads, kind="stable")
    return Heads(heads[order], rows[order], sizes[order])


def part_of(size: int, original: int) -> Part | None:
    """Return what a file is whose beginning is the original's; None where both end together."""
    if size == original:
        return None
    return Part.TRUNCATED if size < original else Part.APPENDED
