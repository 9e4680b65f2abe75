"""What a difference between the manifest and the place means: the DG1xx codes."""

from __future__ import annotations

import functools
from array import array
from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.core.align import are_alike, differing
from dataguard.core.columns import array_column, kind_mask, numbers
from dataguard.core.kernels import any_of, greater, present, rows_where
from dataguard.core.numeric import np
from dataguard.core.paths import display, leaves_root
from dataguard.model.dataclass import dataclass
from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from dataguard.core.align import Window

__all__ = ["Difference", "all_vouched", "hazards", "judge", "merge_kind_changes", "suspects"]

_SIGNATURE = ("size", "mtime_ns", "ctime_ns", "inode", "mode")
_TIMES = ("size", "mtime_ns", "ctime_ns", "inode")
_CONTENT = ("kind", "digest")
_METADATA = ("mode", "uid", "gid", "mtime_ns")
_KIND_WORDS = {"f": "file", "l": "symlink", "d": "empty directory"}
_WITH_ARTICLE = {"f": "a file", "l": "a symlink", "d": "an empty directory"}
_OTHER_KIND = {
    Code.DG102: "a directory is where the entry was",
    Code.DG103: "another entry is where a directory was",
}
"""What a missing or extra path means with the opposite below it."""
_HELD_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One finding in the making: the action adds severity, times and the version."""

    code: Code
    path: bytes
    message: str
    evidence: Mapping[str, object] = field(default_factory=dict)


def all_vouched(window: Window) -> bool:
    """Whether the baseline vouches for every row, none of them new or gone.

    Law: then `suspects` with a baseline are none.
    """
    return are_alike(window, _signature(window)) and not any_of(window.left.column("racy"))


def suspects(window: Window, *, baseline: bool) -> np.ndarray:
    """Return the rows of `window.right` whose content the baseline does not vouch for.

    These are matched regular files of which size, mtime, ctime, inode or mode differ, or that
    were changed within a tick of their hashing. Without a usable baseline all are. Permission
    bits and equal size alone never vouch for anything.
    """
    if not baseline:
        doubtful = np.ones(len(window.right_rows), dtype=bool)
    else:
        doubtful = numbers(window.left.column("racy"))[window.left_rows]
        for name in _signature(window):
            doubtful |= differing(window, name)
    rows: np.ndarray = window.right_rows[doubtful]
    return rows[kind_mask(window.right, "f")[rows]] if len(rows) else rows


@functools.cache
def _one(kind: pa.DataType) -> pa.Scalar:
    return array_column(array("q", [1]), kind)[0]


def _signature(window: Window) -> tuple[str, ...]:
    """Return the columns that vouch for a content: of objects, also the version."""
    sides = window.left.schema.names, window.right.schema.names
    return (*_SIGNATURE, "version_id") if all("version_id" in s for s in sides) else _SIGNATURE


def judge(window: Window, *, baseline: bool, sheet: bool) -> list[Difference]:
    """Return what differs in a window, in path order.

    `left` is the manifest with its location sheet (or without: `sheet` is False), `right` what is
    there. A null digest on the right means that the baseline vouched for the file. `baseline`
    tells whether times and inodes of the sheet mean something here.
    """
    if are_alike(window, (*_CONTENT, *_METADATA) if sheet else _CONTENT):
        return []
    found = [_missing(window, row) for row in window.only_left]
    found += [_extra(window, row) for row in window.only_right]
    found += _changed(window, baseline=baseline)
    if sheet:
        found += _metadata(window)
    return sorted(found, key=lambda difference: difference.path)


def hazards(entries: pa.RecordBatch) -> list[Difference]:
    """Return what makes observed entries hard to protect: hard links and links that lead out."""
    if not entries.num_rows:
        return []
    found = []
    names = entries.column("nlink")
    for row in rows_where(greater(names, _one(names.type))):
        if entries.column("kind")[row].as_py() == "f":
            count = names[row].as_py()
            message = f"the file has {count} names; a write through another one reaches gold"
            found.append(Difference(Code.DG108, _path(entries, row), message, {"nlink": count}))
    links = entries.column("link_target")
    for row in rows_where(present(links)):
        path, target = _path(entries, row), links[row].as_py()
        if leaves_root(path, target):
            message = f"the symlink leads out of the dataset, to {display(target)}"
            found.append(Difference(Code.DG109, path, message))
    return sorted(found, key=lambda difference: difference.path)


def merge_kind_changes(
    differences: Iterable[Difference], *, beyond: Callable[[Difference], bool] | None = None
) -> Iterator[Difference]:
    """Tell a file that became a directory, or the reverse, from a missing and an extra path.

    `a` missing and `a/b` extra means that `a` is a directory now. A directory that was empty, or
    is now, is no difference of its own beside what came or went in it. Takes and yields
    differences in path order; holds back at most 10,000. Where they end before the last path,
    `beyond` tells whether something extra below a missing path, or missing below an extra one,
    would follow.
    """
    held: list[Difference] = []
    heads: list[int] = []  # positions in `held` of paths below which something may still come
    for difference in differences:
        heads = [i for i in heads if _may_concern(held[i], difference)]
        if not heads or len(held) >= _HELD_MAX:
            yield from _told(held)
            held, heads = [], []
        for i in heads:
            held[i] = _with_descendant(held[i], difference)
        if difference.code in _OTHER_KIND:
            heads.append(len(held))
        held.append(difference)
    for i in heads:
        if beyond is not None and held[i].code in _OTHER_KIND and beyond(held[i]):
            held[i] = _of_other_kind(held[i])
    yield from _told(held)


def _told(held: list[Difference]) -> Iterator[Difference]:
    """Yield all but directories that are there on both sides, empty on one of them."""
    for difference in held:
        if difference.code is not Code.DG104 or difference.evidence.get("kind") != "d":
            yield difference


def _may_concern(held: Difference, later: Difference) -> bool:
    """Whether something below the held path can still come."""
    return later.path < held.path + b"0"  # `0` follows `/`


def _with_descendant(held: Difference, later: Difference) -> Difference:
    opposite = {held.code, later.code} == {Code.DG102, Code.DG103}
    if not opposite or not later.path.startswith(held.path + b"/"):
        return held
    return _of_other_kind(held)


def _of_other_kind(held: Difference) -> Difference:
    return replace(held, code=Code.DG104, message=_OTHER_KIND[held.code])


def _missing(window: Window, row: int) -> Difference:
    evidence = {name: window.left.column(name)[row].as_py() for name in ("kind", "size")}
    message = f"the {_KIND_WORDS[evidence['kind']]} is gone"
    return Difference(Code.DG102, window.left_paths[row].as_py(), message, evidence)


def _extra(window: Window, row: int) -> Difference:
    names = ("kind", "size", "uid", "mtime_ns")
    evidence = {name: window.right.column(name)[row].as_py() for name in names}
    message = f"the {_KIND_WORDS[evidence['kind']]} is not part of the version"
    return Difference(Code.DG103, window.right_paths[row].as_py(), message, evidence)


def _changed(window: Window, *, baseline: bool) -> list[Difference]:
    """Return matched entries of another kind or content."""
    found = []
    other_kind = differing(window, "kind")
    for i in np.flatnonzero(other_kind):
        before = window.left.column("kind")[int(window.left_rows[i])].as_py()
        after = window.right.column("kind")[int(window.right_rows[i])].as_py()
        message = f"it was {_WITH_ARTICLE[before]} and is {_WITH_ARTICLE[after]}"
        found.append(Difference(Code.DG104, _path_of(window, int(i)), message))
    # A null digest is that of a file that was not read: the baseline vouches for it.
    rows = np.flatnonzero(differing(window, "digest") & ~other_kind)
    return found + [_content(window, int(i), baseline=baseline) for i in rows]


def _content(window: Window, i: int, *, baseline: bool) -> Difference:
    left, right = int(window.left_rows[i]), int(window.right_rows[i])
    evidence: dict[str, object] = {
        "expected_digest": window.left.column("digest")[left].as_py().hex(),
        "observed_digest": window.right.column("digest")[right].as_py().hex(),
        "expected_size": window.left.column("size")[left].as_py(),
        "observed_size": window.right.column("size")[right].as_py(),
    }
    path = _path_of(window, i)
    if window.left.column("kind")[left].as_py() == "l":
        target = display(window.right.column("link_target")[right].as_py())
        return Difference(Code.DG101, path, f"the symlink leads to {target} now", evidence)
    evidence |= {name: window.right.column(name)[right].as_py() for name in ("mtime_ns", "uid")}
    if baseline and not all(_same(window, name, left, right) for name in _TIMES):
        return Difference(Code.DG101, path, "the content was changed", evidence)
    # An edit within a timestamp tick of the hashing moves no time either.
    if not baseline or window.left.column("racy")[left].as_py():
        evidence["cause"] = "unknown"
        return Difference(Code.DG101, path, "the content differs, cause unknown", evidence)
    message = "the content differs although no time of the file moved: bit rot"
    return Difference(Code.DG107, path, message, evidence)


def _metadata(window: Window) -> list[Difference]:
    """Return matched entries of the same content whose mode, owner or mtime changed."""
    differs = {name: differing(window, name) for name in _METADATA}
    if not any(differences.any() for differences in differs.values()):
        return []
    differs["mode"] &= ~_is_kind(window.right, window.right_rows, "l")
    differs["mtime_ns"] &= _is_kind(window.right, window.right_rows, "f")
    other = differing(window, "kind") | differing(window, "digest")
    rows = np.flatnonzero(np.logical_or.reduce(list(differs.values())) & ~other)
    return [_metadata_of(window, int(i), [n for n, d in differs.items() if d[i]]) for i in rows]


def _metadata_of(window: Window, i: int, names: list[str]) -> Difference:
    left, right = int(window.left_rows[i]), int(window.right_rows[i])
    evidence = {
        name: {
            "expected": window.left.column(name)[left].as_py(),
            "observed": window.right.column(name)[right].as_py(),
        }
        for name in names
    }
    words = ", ".join(name.removesuffix("_ns") for name in names)
    message = f"the content is the same, changed: {words}"
    return Difference(Code.DG105, _path_of(window, i), message, evidence)


def _same(window: Window, name: str, left: int, right: int) -> bool:
    return bool(window.left.column(name)[left].as_py() == window.right.column(name)[right].as_py())


def _is_kind(batch: pa.RecordBatch, rows: np.ndarray, kind: str) -> np.ndarray:
    mask: np.ndarray = kind_mask(batch, kind)[rows]
    return mask


def _path_of(window: Window, i: int) -> bytes:
    path: bytes = window.left_paths[int(window.left_rows[i])].as_py()
    return path


def _path(entries: pa.RecordBatch, row: int) -> bytes:
    raw = entries.column("path_raw")[row].as_py()
    path: bytes = entries.column("path")[row].as_py().encode() if raw is None else raw
    return path
