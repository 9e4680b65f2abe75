"""What whole directories repeat: each is compared with the part of the version it resembles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from dataguard.actions.places import store_of
from dataguard.core.columns import kind_mask, number_column, numbers, raw_paths, shortened
from dataguard.core.folders import Vote, nominees
from dataguard.core.goldmaking import digest_words
from dataguard.core.kernels import places_in, present, taken
from dataguard.core.numeric import np
from dataguard.core.runs import rows_through
from dataguard.errors import NotFoundError, StoreUnreachableError
from dataguard.model.copies import FolderCopy, ListedPath
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.copymatch import PlaceMatch
    from dataguard.actions.copyscan import PlaceScan
    from dataguard.core.folders import Pair
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.dataset import Version
    from dataguard.model.digest import Algorithm, DigestPlan
    from dataguard.stores.walk import Exclusion

__all__ = ["folders_in"]

_FOLDERS_MAX = 100
"""Directories that are looked at: those with the most bytes of gold."""

_ROWS_MAX = 50_000_000
"""Rows of manifests that are read for that, give or take one manifest."""

_SHARE_LEAST = 0.5
"""Of gold's files or bytes; with less of it a directory only has some copies in it."""

_LISTED = 20


class _Files(NamedTuple):
    """Files by path relative to a directory, in path order; rows of digests, zeros if unknown."""

    paths: pa.Array
    sizes: np.ndarray
    digests: np.ndarray


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Rows of gold's files that are identical, different or missing, and of the other's extra."""

    identical: np.ndarray
    differing: np.ndarray
    missing: np.ndarray
    extra: np.ndarray


def folders_in(
    ctx: Context,
    scan: PlaceScan,
    match: PlaceMatch,
    index: GoldIndex,
    plan: DigestPlan,
) -> list[FolderCopy]:
    """Return the directories of a place that hold at least half of a part of a version.

    The outermost only: what lies in one of them is part of it.

    Raises:
        CatalogDamagedError: a manifest is damaged.
    """
    found: list[FolderCopy] = []
    tried: set[tuple[bytes, int, bytes]] = set()
    cost = {one.path: one.reclaimable for one in match.copies}
    whole, budget = os.fsencode(scan.place), _ROWS_MAX
    for pair in nominees(_votes(match))[:_FOLDERS_MAX]:
        key = pair.directory, pair.version, pair.prefix
        if budget < 0 or key in tried or any(_within(pair.directory, one.path) for one in found):
            continue
        tried.add(key)
        version = index.versions[pair.version]
        budget -= version.entries
        gold = _gold(ctx, version, pair.prefix)
        ours = _ours(ctx, scan, pair, version.algorithm, plan)
        if ours is None:
            continue
        folder = _folder(pair, version, gold, ours, cost)
        if folder is not None and _within(folder.path, whole):
            found = [one for one in found if not _within(one.path, folder.path)]
            found.append(folder)
    return sorted(found, key=lambda one: one.path)


def _votes(match: PlaceMatch) -> Iterator[Vote]:
    sizes = {one.path: one.bytes for one in match.copies}
    for path, places in match.occurrences.items():
        for place in places:
            yield Vote(path, place.version, place.entry, sizes[path])


def _gold(ctx: Context, version: Version, prefix: bytes) -> _Files:
    """Return the regular files of a version below a prefix."""
    parts = []
    for batch in ctx.manifests.read_content(version.root, version.algorithm):
        paths = raw_paths(batch)
        start = rows_through(paths, prefix + b"/") if prefix else 0
        stop = rows_through(paths, prefix + b"0") if prefix else len(paths)
        part = batch.slice(start, stop - start)
        rows = np.flatnonzero(kind_mask(part, "f"))
        kept = taken(part, number_column(rows))
        parts.append(_files(kept, digest_words(kept.column("digest")), len(prefix) + bool(prefix)))
    return _joined(parts, version.algorithm.digest_bytes // 8)


def _ours(
    ctx: Context,
    scan: PlaceScan,
    pair: Pair,
    algorithm: Algorithm,
    plan: DigestPlan,
) -> _Files | None:
    """Return the regular files in a directory, with the digests that the scan has of them."""
    place = os.fsencode(scan.place).rstrip(b"/")
    below = pair.directory.removeprefix(place).removeprefix(b"/")
    name = "digest" if algorithm is plan.main else str(algorithm)
    skip, words, parts = len(below) + bool(below), algorithm.digest_bytes // 8, []
    try:
        store = store_of(ctx, os.fsdecode(pair.directory), left_out=_shifted(scan.left_out, below))
        for piece in store.scan(plan, read=False):
            rows = np.flatnonzero(kind_mask(piece.entries, "f"))
            kept = taken(piece.entries, number_column(rows))
            zeros = np.zeros((len(rows), words), np.uint64)
            parts.append(_files(kept, zeros, 0))
    except (NotFoundError, StoreUnreachableError):  # gone since; its copies were told
        return None
    files = _joined(parts, words)
    paths = raw_paths(scan.entries)
    start = rows_through(paths, below + b"/") if below else 0
    stop = rows_through(paths, below + b"0") if below else len(paths)
    part = scan.entries.slice(start, stop - start)
    read = _files(part, digest_words(part.column(name)), skip)
    at = _positions(read.paths, files.paths)
    files.digests[at[at >= 0]] = read.digests[at >= 0]
    return files


def _folder(
    pair: Pair, version: Version, gold: _Files, ours: _Files, cost: dict[bytes, int]
) -> FolderCopy | None:
    compared = _compare(gold, ours)
    size = int(gold.sizes[compared.identical].sum())
    gold_bytes = int(gold.sizes.sum())
    files = len(compared.identical)
    if files < _SHARE_LEAST * len(gold.paths) and size < _SHARE_LEAST * gold_bytes:
        return None
    prefix = pair.directory + b"/"
    same = taken(gold.paths, number_column(compared.identical)).to_pylist()
    return FolderCopy(
        path=pair.directory,
        dataset=version.dataset,
        version=version.number,
        prefix=pair.prefix,
        files=files,
        gold_files=len(gold.paths),
        bytes=size,
        gold_bytes=gold_bytes,
        reclaimable=sum(cost.get(prefix + path, 0) for path in same),
        differing=_listed(gold.paths, compared.differing),
        missing=_listed(gold.paths, compared.missing),
        extra=_listed(ours.paths, compared.extra),
        differing_count=len(compared.differing),
        missing_count=len(compared.missing),
        extra_count=len(compared.extra),
    )


def _compare(gold: _Files, ours: _Files) -> _Comparison:
    at = _positions(gold.paths, ours.paths)
    there = np.flatnonzero(at >= 0)
    other = at[there]
    same = gold.sizes[there] == ours.sizes[other]
    # An empty file is never read, and there is only one such content.
    same &= (gold.digests[there] == ours.digests[other]).all(axis=1) | (gold.sizes[there] == 0)
    extra = np.ones(len(ours.paths), dtype=bool)
    extra[other] = False
    return _Comparison(there[same], there[~same], np.flatnonzero(at < 0), np.flatnonzero(extra))


def _positions(paths: pa.Array, among: pa.Array) -> np.ndarray:
    """Return for each path its row among others; -1 where it is not there."""
    found = places_in(paths, among)
    rows: np.ndarray = np.where(numbers(present(found)), numbers(found), -1)
    return rows


def _files(entries: pa.RecordBatch, digests: np.ndarray, skip: int) -> _Files:
    """Return entries with the first `skip` bytes of their paths left away."""
    return _Files(shortened(raw_paths(entries), skip), numbers(entries.column("size")), digests)


def _joined(parts: Sequence[_Files], width: int) -> _Files:
    if not parts:
        empty = pa.nulls(0, pa.binary())
        return _Files(empty, np.empty(0, np.int64), np.empty((0, width), np.uint64))
    return _Files(
        pa.concat_arrays([one.paths for one in parts]),
        np.concatenate([one.sizes for one in parts]),
        np.concatenate([one.digests for one in parts]),
    )


def _listed(paths: pa.Array, rows: np.ndarray) -> tuple[ListedPath, ...]:
    return tuple(map(ListedPath, taken(paths, number_column(rows[:_LISTED])).to_pylist()))


def _shifted(left_out: Exclusion | None, below: bytes) -> Exclusion | None:
    """Return the test of a walk for one that begins in a directory further down."""
    if left_out is None or not below:
        return left_out
    return lambda path, is_directory: left_out(below + b"/" + path, is_directory)


def _within(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")
