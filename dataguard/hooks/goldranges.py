"""Parts of files of `gold://`: those that lie in buckets are asked for together."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from dataguard.stores.pinnedsource import Checked, Part, Shared

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from dataguard.hooks.goldreader import GoldReader
    from dataguard.stores.pinnedsource import PartReader, PinnedSource

__all__ = ["Bounds", "read_parts", "read_ranges"]


class Bounds(NamedTuple):
    """A range by the rules of slices, and which of those asked for it is."""

    number: int
    start: int | None
    end: int | None


def read_ranges(
    gold: GoldReader, wanted: Mapping[str, Sequence[Bounds]]
) -> Generator[tuple[int, bytes | OSError | ValueError]]:
    """Yield the numbers of ranges with their bytes, or why there are none; opens each file once."""
    far: dict[PartReader, list[tuple[int, Part]]] = {}
    for path, asked in wanted.items():
        try:
            source = gold.open(gold.find(path))
            if isinstance(source, Shared):
                numbers = (one.number for one in asked)
                parts = zip(numbers, _parts(source, asked), strict=True)
                far.setdefault(source.reader, []).extend(parts)
                continue
            found = read_parts(source, asked)
        except (OSError, ValueError) as err:
            yield from ((one.number, err) for one in asked)
        else:
            yield from zip((one.number for one in asked), found, strict=True)
    for reader, numbered in far.items():
        with closing(reader.read_parts([part for _, part in numbered])) as read:
            yield from zip((number for number, _ in numbered), read, strict=True)


def read_parts(source: PinnedSource, asked: Sequence[Bounds]) -> list[bytes]:
    """Return parts of a file, all of it compared before where it is to be; closes it.

    Raises:
        ChangedGoldError: it is not what is pinned.
        OSError: it cannot be read.
    """
    try:
        if isinstance(source, Checked):
            source.read_all()
        return [source.read(part.start, part.length) for part in _parts(source, asked)]
    finally:
        source.close()


def _parts(source: PinnedSource, asked: Sequence[Bounds]) -> list[Part]:
    slices = (slice(one.start, one.end).indices(source.size) for one in asked)
    return [Part(source, start, max(end - start, 0)) for start, end, _ in slices]
