"""Finds files that are a truncated original, or an original with more behind it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self

from dataguard.actions.copylooks import Looked, Looks, question
from dataguard.actions.copymatch import originals
from dataguard.core.extents import bytes_of_others
from dataguard.core.numeric import np
from dataguard.core.partial import HEAD_BYTES, Part, part_of
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.stores.beginnings import Beginnings
from dataguard.stores.headsheets import HeadSheets
from dataguard.stores.manifestrows import paths_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copyfiles import PlaceFiles
    from dataguard.core.partial import Heads
    from dataguard.model.dataset import Version
    from dataguard.stores.copylook import CopyLook

__all__ = ["partial_copies"]

_RUNGS = (1 << 16, 1 << 20, 1 << 24)
"""Lengths of beginnings that are compared by digest where many files share a shorter one."""

_BATCH = 4096
"""Files whose beginnings are looked up at once."""

_FEW = 4
"""So many originals are compared at once, byte for byte."""


class _Original(NamedTuple):
    """A file of gold: a version by its number, the path in it, the size."""

    version: int
    entry: bytes
    size: int


def partial_copies(
    ctx: Context,
    files: PlaceFiles,
    versions: Sequence[Version],
    known: Collection[bytes],
    *,
    min_size: int = HEAD_BYTES,
) -> Looked:
    """Return the files of 4 KiB or more that begin with all of an original, or end within it.

    `known` are absolute paths of files that are copies anyway. Of each other file the first 4 KiB
    are read; what begins as a file of gold is compared with it byte for byte. The longest part
    counts where several fit.

    Raises:
        CatalogDamagedError: a manifest is damaged.
    """
    found = Looked()
    with _Gold(ctx, versions) as gold:
        asked = question("partial", gold.asked)
        least = max(min_size, HEAD_BYTES)
        looks = Looks(
            ctx, files, CopyKind.PARTIAL, name="parts", asked=asked, least=least, known=known
        )
        unseen = looks.unseen()
        while paths := list(islice(unseen, _BATCH)):
            _look_at(paths, files, gold, looks, found)
        found.unreadable += gold.gaps
    found.take(looks)
    return found


def _look_at(
    paths: Sequence[bytes], files: PlaceFiles, gold: _Gold, looks: Looks, found: Looked
) -> None:
    """Add what the files at these paths are."""
    kept, heads = _heads(files.contents, paths, found)
    originals_of = dict(gold.candidates(heads))
    for at, path in enumerate(kept):
        gaps = len(gold.gaps)
        try:
            copies = list(gold.copies(files, path, originals_of.get(at, ())))
        except OSError as err:
            found.failed(path, err)
            continue
        found.copies += copies
        if len(gold.gaps) == gaps:
            looks.note(path, copies)


class _Gold:
    """The beginnings of versions that lie on this host, and their files to compare with."""

    def __init__(self, ctx: Context, versions: Sequence[Version]) -> None:
        self._ctx = ctx
        self._versions = versions
        self._opened = ExitStack()
        self._homes = [originals(ctx, version) for version in versions]
        self._sources: dict[int, Beginnings] = {}
        self._sheets: dict[int, Heads] = {}
        self._rungs: dict[tuple[_Original, int], int | None] = {}
        self.gaps: list[Unreadable] = []
        self.asked: object = ()

    def __enter__(self) -> Self:
        sheets = HeadSheets(self._ctx.settings.home.value, self._ctx.manifests)
        sheets.prune({version.root.hex for version in self._ctx.catalog.versions()})
        for number, (version, home) in enumerate(zip(self._versions, self._homes, strict=True)):
            if home is None:
                self._gap(version, "its files are not on this host")
                continue
            self._sheets[number], missed = sheets.heads(version, home)
            if missed:
                self._gap(version, f"{missed:,} of its files cannot be read")
            try:
                self._sources[number] = self._opened.enter_context(Beginnings(home))
            except OSError as err:
                self._gap(version, f"cannot open {home}: {err.strerror}")
        # What is told depends on this, beside the file.
        named = [(str(one.reference), one.root.hex) for one in self._versions]
        self.asked = named, self._homes, tuple(one.detail for one in self.gaps)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._opened.close()

    def candidates(self, heads: np.ndarray) -> Iterator[tuple[int, list[_Original]]]:
        """Yield the number of each beginning that occurs in gold, with the files that have it."""
        found: dict[int, list[_Original]] = {}
        for number, sheet in self._sheets.items():
            queries, at = sheet.find(heads)
            manifest = self._ctx.manifests.manifest_path(self._versions[number].root)
            entries = paths_at(manifest, sheet.rows[at].tolist()) if len(at) else []
            sizes = sheet.sizes[at].tolist()
            for query, entry, size in zip(queries.tolist(), entries, sizes, strict=True):
                found.setdefault(query, []).append(_Original(number, entry, size))
        yield from sorted(found.items())

    def matching(
        self, files: Beginnings, path: bytes, size: int, candidates: Sequence[_Original]
    ) -> _Original | None:
        """Return the original that a file shares most with, from the beginning to an end.

        Raises:
            OSError: the file cannot be read.
        """
        left = [one for one in candidates if part_of(size, one.size) is not None]
        for rung in _RUNGS:
            if len(left) <= _FEW or size < rung:
                break
            head = files.head(path, rung)
            left = [one for one in left if one.size < rung or self._rung(one, rung) == head]
        left.sort(key=lambda one: (-min(size, one.size), one.version, one.entry))
        with files.reading(path) as descriptor:
            return next((one for one in left if self._begins_as(one, descriptor, size)), None)

    def copies(
        self, files: PlaceFiles, path: bytes, candidates: Sequence[_Original]
    ) -> Iterator[Copy]:
        """Yield what a file is that begins as these originals: one copy at the most.

        Raises:
            OSError: it cannot be read.
        """
        if candidates:
            size = files.look.state(path).size
            original = self.matching(files.contents, path, size, candidates)
            if original is not None:
                yield self.copy(files.look, files.prefix, path, original)

    def copy(self, look: CopyLook, prefix: bytes, path: bytes, original: _Original) -> Copy:
        """Return a file as a partial copy; what was appended to an original is its owner's.

        Raises:
            OSError: the file is gone.
        """
        state, version = look.state(path), self._versions[original.version]
        part = part_of(state.size, original.size)
        shared = bytes_of_others(look.extents(path, state))
        frees = part is Part.TRUNCATED and state.links == 1
        home = os.fsencode(self._homes[original.version] or "")
        return Copy(
            path=prefix + path,
            kind=CopyKind.PARTIAL,
            dataset=version.dataset,
            version=version.number,
            entry=original.entry,
            original=os.path.join(home, original.entry),
            bytes=min(state.size, original.size),
            reclaimable=max(state.allocated - shared, 0) if frees else 0,
            state=state,
            evidence={"part": str(part), "original_bytes": original.size},
        )

    def _begins_as(self, one: _Original, descriptor: int, size: int) -> bool:
        try:
            return self._sources[one.version].begins_as(one.entry, descriptor, min(size, one.size))
        except OSError as err:
            self._gap(self._versions[one.version], f"{os.fsdecode(one.entry)}: {err.strerror}")
            return False

    def _rung(self, one: _Original, rung: int) -> int | None:
        if (one, rung) not in self._rungs:
            try:
                self._rungs[one, rung] = self._sources[one.version].head(one.entry, rung)
            except OSError as err:
                self._gap(self._versions[one.version], f"{os.fsdecode(one.entry)}: {err.strerror}")
                self._rungs[one, rung] = None
        return self._rungs[one, rung]

    def _gap(self, version: Version, why: str) -> None:
        detail = f"parts of {version.reference} were not looked for: {why}"
        self.gaps.append(Unreadable(b"", Obstacle.ABSENT, detail))


def _heads(
    contents: Beginnings, paths: Sequence[bytes], found: Looked
) -> tuple[list[bytes], np.ndarray]:
    """Return which of the files could be read, and the digests of their first 4 KiB."""
    kept, heads = [], []
    for path in paths:
        try:
            head = contents.head(path)
        except OSError as err:
            found.failed(path, err)
            continue
        if head is not None:
            kept.append(path)
            heads.append(head)
    return kept, np.array(heads, np.uint64)
