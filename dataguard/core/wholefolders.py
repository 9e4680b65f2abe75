"""Which directories may repeat a directory of a version, told from the paths of exact copies."""

from __future__ import annotations

from os.path import dirname
from typing import TYPE_CHECKING

from dataguard.core.copies import common_parts
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from dataguard.model.copies import Copy

__all__ = ["Candidate", "candidates", "is_within"]


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A directory with a copy that lies in it as its original lies in `prefix` of the version."""

    directory: bytes
    dataset: str
    version: int
    prefix: bytes


def candidates(copies: Iterable[Copy]) -> list[Candidate]:
    """Return the directories that may be copies as a whole, each before those in it."""
    found = {pair for copy in copies for pair in _above(copy)}
    return sorted(found, key=lambda one: (one.directory.count(b"/"), one))


def is_within(path: bytes, directories: Container[bytes]) -> bool:
    """Whether an absolute path is one of these directories, or below one."""
    while path not in (b"", b"/"):
        if path in directories:
            return True
        path = dirname(path)
    return False


def _above(copy: Copy) -> Iterable[Candidate]:
    parts, entry = copy.path.split(b"/"), copy.entry.split(b"/")
    for count in range(1, common_parts(copy.path, copy.entry) + 1):
        directory, prefix = b"/".join(parts[:-count]), b"/".join(entry[:-count])
        yield Candidate(directory, copy.dataset, copy.version, prefix)
