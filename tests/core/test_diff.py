from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.diff import diff
from dataguard.model.results.diff import ChangedEntry, DiffEntry, RenamedEntry
from support.entrybatches import Seen, batches_of, directory, file, link

NAMES = st.binary(min_size=1, max_size=1).filter(lambda name: b"\0" not in name)
THINGS = st.one_of(
    st.sampled_from([b"1", b"2", b"33"]).map(lambda content: ("f", content)),
    st.sampled_from([b"1", b"x"]).map(lambda target: ("l", target)),
    st.just(("d", b"")),
)
TREES = st.dictionaries(NAMES, THINGS, max_size=10)
CUTS = st.lists(st.integers(0, 4), max_size=4)
MAKERS = {"f": file, "l": link}


def entries(tree) -> list[Seen]:
    return [
        directory(path) if kind == "d" else MAKERS[kind](path, content)
        for path, (kind, content) in tree.items()
    ]


def compared(left, right, left_cuts=(), right_cuts=()):
    return diff(
        batches_of(entries(left), list(left_cuts), sheet=False, scan=False),
        batches_of(entries(right), list(right_cuts), sheet=False, scan=False),
        names=("x@1", "x@2"),
    )


@given(TREES, TREES, CUTS, CUTS)
@settings(deadline=None)
def test_diff_agrees_with_dictionaries(left, right, left_cuts, right_cuts):
    found = compared(left, right, left_cuts, right_cuts)
    gone = {path: left[path] for path in left.keys() - right}
    new = {path: right[path] for path in right.keys() - left}
    renamed = {entry.path: entry.previous_path for entry in found.renamed}
    assert all(new[path] == gone[old] and new[path][0] != "d" for path, old in renamed.items())
    assert len(set(renamed.values())) == len(renamed)
    pairs = Counter(t for t in gone.values() if t[0] != "d") & Counter(new.values())
    assert pairs == Counter(new[path] for path in renamed)
    assert sorted(gone.keys() - set(renamed.values())) == [e.path for e in found.removed]
    assert sorted(new.keys() - set(renamed)) == [e.path for e in found.added]
    changed = sorted(path for path in left.keys() & right if left[path] != right[path])
    assert changed == [entry.path for entry in found.changed]
    assert sorted(renamed) == [entry.path for entry in found.renamed]


@given(TREES, TREES)
@settings(deadline=None)
def test_the_other_way_round_swaps_added_and_removed(left, right):
    one, other = compared(left, right), compared(right, left)
    assert len(one.renamed) == len(other.renamed)
    assert [e.path for e in one.changed] == [e.path for e in other.changed]
    assert Counter(e.kind for e in one.added) == Counter(e.kind for e in other.removed)


@given(TREES)
@settings(deadline=None)
def test_a_version_differs_from_itself_in_nothing(tree):
    found = compared(tree, tree)
    assert ((), (), (), ()) == (found.added, found.removed, found.changed, found.renamed)


def test_values_of_a_small_diff():
    found = compared(
        {b"a": ("f", b"1"), b"gone": ("f", b"old"), b"k": ("f", b"x"), b"m": ("f", b"moved")},
        {b"a": ("f", b"22"), b"k": ("l", b"x"), b"n": ("f", b"moved"), b"e": ("d", b"")},
    )
    assert ("x@1", "x@2") == (found.left, found.right)
    assert (DiffEntry(b"e", "d", 0),) == found.added
    assert (DiffEntry(b"gone", "f", 3),) == found.removed
    changed = (ChangedEntry(b"a", "f", 2, "f", 1), ChangedEntry(b"k", "l", 1, "f", 1))
    assert changed == found.changed
    assert (RenamedEntry(b"n", b"m", "f", 5),) == found.renamed


def test_copies_are_paired_in_path_order_each_once():
    found = compared(
        {b"a": ("f", b"1"), b"b": ("f", b"1")},
        {b"x": ("f", b"1"), b"y": ("f", b"1"), b"z": ("f", b"1")},
    )
    assert [(b"x", b"a"), (b"y", b"b")] == [(r.path, r.previous_path) for r in found.renamed]
    assert [b"z"] == [entry.path for entry in found.added]


def test_file_and_link_of_the_same_bytes_are_no_rename():
    found = compared({b"a": ("f", b"x")}, {b"b": ("l", b"x")})
    assert () == found.renamed
