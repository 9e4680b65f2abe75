"""What two versions have apart, renames recognised."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dataguard.core.align import align, differing_pairs
from dataguard.model.results.diff import ChangedEntry, DiffEntry, DiffResult, RenamedEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    import pyarrow as pa

    from dataguard.core.align import Window

__all__ = ["diff"]

_Content = tuple[str, int, bytes]


def diff(
    left: Iterable[pa.RecordBatch], right: Iterable[pa.RecordBatch], *, names: tuple[str, str]
) -> DiffResult:
    """Return what differs between two manifests with one main algorithm.

    The streams are a manifest reader's, which checks their order. Memory grows with the
    differences, not with the manifests. A path that only the left has and one that only the right
    has are a rename where kind, size and digest agree.
    """
    removed: list[tuple[DiffEntry, _Content]] = []
    added: list[tuple[DiffEntry, _Content]] = []
    changed: list[ChangedEntry] = []
    for window in align(left, right, checked=True):
        removed += _alone(window.left, window.left_paths, window.only_left)
        added += _alone(window.right, window.right_paths, window.only_right)
        changed += _changed(window)
    renamed, removed, added = _renames(removed, added)
    return DiffResult(
        left=names[0],
        right=names[1],
        added=tuple(entry for entry, _ in added),
        removed=tuple(entry for entry, _ in removed),
        changed=tuple(changed),
        renamed=tuple(renamed),
    )


def _alone(
    batch: pa.RecordBatch, paths: pa.Array, rows: np.ndarray
) -> Iterator[tuple[DiffEntry, _Content]]:
    for row in rows.tolist():
        content = _content(batch, row)
        yield DiffEntry(paths[row].as_py(), content[0], content[1]), content


def _changed(window: Window) -> Iterator[ChangedEntry]:
    for left, right in differing_pairs(window, ("kind", "size", "digest")):
        before, after = _content(window.left, left), _content(window.right, right)
        path = window.left_paths[left].as_py()
        yield ChangedEntry(path, after[0], after[1], before[0], before[1])


def _renames(
    removed: list[tuple[DiffEntry, _Content]], added: list[tuple[DiffEntry, _Content]]
) -> tuple[list[RenamedEntry], list[tuple[DiffEntry, _Content]], list[tuple[DiffEntry, _Content]]]:
    """Pair removed and added entries of the same content, each once, in path order."""
    by_content: defaultdict[_Content, list[DiffEntry]] = defaultdict(list)
    for entry, content in reversed(removed):
        if entry.kind != "d":
            by_content[content].append(entry)
    renamed, gone, new = [], set(), []
    for entry, content in added:
        partners = by_content.get(content)
        if not partners:
            new.append((entry, content))
            continue
        old = partners.pop()
        gone.add(old.path)
        renamed.append(RenamedEntry(entry.path, old.path, entry.kind, entry.size))
    return renamed, [pair for pair in removed if pair[0].path not in gone], new


def _content(batch: pa.RecordBatch, row: int) -> _Content:
    kind, size, digest = (batch.column(n)[row].as_py() for n in ("kind", "size", "digest"))
    return kind, size, digest
