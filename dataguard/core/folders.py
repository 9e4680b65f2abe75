"""Which directories repeat which parts of a version, told from the paths of copies."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from dataguard.core.copies import common_parts
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Pair", "Vote", "nominees"]

_LEAST_FILES = 2


class Vote(NamedTuple):
    """A copy at an absolute `path` that repeats `entry` of a version, by its number."""

    path: bytes
    version: int
    entry: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A directory, and the part of a version that its copies come from; `prefix` may be empty."""

    directory: bytes
    version: int
    prefix: bytes
    files: int
    bytes: int


def nominees(votes: Iterable[Vote]) -> list[Pair]:
    """Return the directories with at least two copies that lie in them as in gold.

    They come with the most bytes first. Each is the deepest that holds all of these copies: where
    all lie in `home/train` as in `train`, it is that and not `home`.
    """
    groups: defaultdict[tuple[bytes, int, bytes], _Group] = defaultdict(_Group)
    for vote in votes:
        shared = common_parts(vote.path, vote.entry)
        if shared:
            directory, prefix, rest = _split(vote, shared)
            groups[directory, vote.version, prefix].add(rest, vote.size)
    found = list(_pairs(groups))
    return sorted(found, key=lambda one: (-one.bytes, one.directory, one.version))


class _Group:
    """Copies that lie in one directory as in one part of a version."""

    __slots__ = ("common", "files", "size")

    def __init__(self) -> None:
        self.common: list[bytes] | None = None
        self.files = 0
        self.size = 0

    def add(self, rest: bytes, size: int) -> None:
        parents = rest.split(b"/")[:-1]
        self.common = parents if self.common is None else _shared(self.common, parents)
        self.files += 1
        self.size += size


def _split(vote: Vote, shared: int) -> tuple[bytes, bytes, bytes]:
    """Part both paths before the components that they share at their ends."""
    parts, entry = vote.path.split(b"/"), vote.entry.split(b"/")
    kept = len(parts) - shared
    return b"/".join(parts[:kept]), b"/".join(entry[: len(entry) - shared]), b"/".join(parts[kept:])


def _shared(one: list[bytes], other: list[bytes]) -> list[bytes]:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return one[:count]


def _pairs(groups: dict[tuple[bytes, int, bytes], _Group]) -> Iterator[Pair]:
    for (directory, version, prefix), group in groups.items():
        if group.files >= _LEAST_FILES:
            below = group.common or []
            yield Pair(
                b"/".join([directory, *below]),
                version,
                b"/".join([*([prefix] if prefix else []), *below]),
                group.files,
                group.size,
            )
