from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core import runs as runs_module
from dataguard.core.align import differing, differing_pairs, match
from dataguard.core.columns import number_column, raw_paths
from dataguard.core.runs import Run, equal_runs, gaps, lefts, rights, rows_of, rows_through
from support.entrybatches import batch_of, file

NAMES = st.binary(min_size=1, max_size=2).filter(lambda name: b"\0" not in name)
MANY = 5_000
# The borders of strides and windows, and what lies around them.
ROWS = st.sampled_from([0, 1, 1_022, 1_023, 1_024, 1_025, 2_048, 3_071, 3_072, 4_998, 4_999])
EDITS = st.sets(st.one_of(ROWS, st.integers(0, MANY - 1)), max_size=12)


def column(names) -> pa.Array:
    return pa.array(sorted(names), pa.binary())


def pairs(runs: tuple[Run, ...]) -> list[tuple[int, int]]:
    return [(run.left + n, run.right + n) for run in runs for n in range(run.rows)]


def naive(left: pa.Array, right: pa.Array) -> list[tuple[int, int]]:
    places = {path: row for row, path in enumerate(left.to_pylist())}
    rows = enumerate(right.to_pylist())
    return [(places[path], row) for row, path in rows if path in places]


@given(st.sets(NAMES, max_size=25), st.sets(NAMES, max_size=25))
@settings(deadline=None)
def test_runs_are_all_equal_paths(left, right):
    runs = equal_runs(column(left), column(right))
    assert runs is not None
    assert naive(column(left), column(right)) == pairs(runs)
    assert all(run.rows > 0 for run in runs)


@given(EDITS, EDITS, st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_runs_of_long_columns_end_at_the_edits(removed, added, left_start, right_start):
    names = [b"%06d" % n for n in range(MANY)]
    left = column(names).slice(left_start)
    kept = {name for n, name in enumerate(names) if n not in removed}
    right = column(kept | {names[n] + b"+" for n in added}).slice(right_start)
    runs = equal_runs(left, right)
    assert runs is not None
    assert naive(left, right) == pairs(runs)


def test_equal_columns_are_one_run_and_disjoint_ones_none():
    names = [b"%06d" % n for n in range(MANY)]
    assert (Run(0, 0, MANY),) == equal_runs(column(names), column(names))
    assert () == equal_runs(column(names[:9]), column(names[9:]))
    assert () == equal_runs(column([]), column([]))


def test_columns_that_alternate_are_given_up():
    names = [b"%06d" % n for n in range(2_000)]
    assert equal_runs(column(names[::2]), column(names[1::2])) is None


@given(
    st.dictionaries(NAMES, st.integers(0, 2), max_size=20),
    st.dictionaries(NAMES, st.one_of(st.none(), st.integers(0, 2)), max_size=20),
    st.booleans(),
)
@settings(deadline=None)
def test_differing_agrees_with_dictionaries_also_where_runs_were_given_up(left, right, scattered):
    one, other = (
        batch_of(
            [file(p, None if c is None else bytes([c]), inode=c or 0) for p, c in tree.items()]
        )
        for tree in (left, right)
    )
    with pytest.MonkeyPatch.context() as patch:
        if scattered:
            patch.setattr(runs_module, "_TURNS_MAX", 0)
        window = match(one, raw_paths(one), other, raw_paths(other))
    assert scattered == (window.runs is None)
    both = sorted(left.keys() & right.keys())
    assert both == [window.left_paths[int(row)].as_py() for row in window.left_rows]
    alone = raw_paths(one.take(number_column(window.only_left)))
    assert sorted(left.keys() - right) == alone.to_pylist()
    content = [right[path] is not None and left[path] != right[path] for path in both]
    assert content == differing(window, "digest").tolist()
    inodes = [left[path] != (right[path] or 0) for path in both]
    assert inodes == differing(window, "inode").tolist()
    for names in (("digest",), ("kind", "size", "digest"), ("inode", "digest"), ("kind",)):
        some = np.logical_or.reduce([differing(window, name) for name in names])
        rows = zip(window.left_rows[some], window.right_rows[some], strict=True)
        assert list(rows) == list(differing_pairs(window, names))


@given(st.sets(NAMES, max_size=25), st.sets(NAMES, max_size=25))
@settings(deadline=None)
def test_gaps_are_the_rows_that_no_run_has(left, right):
    runs = equal_runs(column(left), column(right))
    assert runs is not None
    for side, names in ((lefts, left), (rights, right)):
        paired, alone = rows_of(side(runs)), rows_of(gaps(side(runs), len(names)))
        assert list(range(len(names))) == sorted([*paired.tolist(), *alone.tolist()])
        assert sorted(alone.tolist()) == alone.tolist()


@given(st.lists(NAMES, unique=True), NAMES)
@settings(deadline=None)
def test_rows_through_counts_paths_up_to_the_bound(names, bound):
    assert sum(name <= bound for name in names) == rows_through(column(names), bound)


def test_rows_of_windows_cannot_be_written_by_mistake():
    batch = batch_of([file(b"a"), file(b"b")])
    window = match(batch, raw_paths(batch), batch, raw_paths(batch))
    with pytest.raises(ValueError, match="read-only"):
        window.left_rows += np.int64(1)
