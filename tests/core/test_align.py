from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.align import align, match
from dataguard.core.columns import raw_paths
from dataguard.errors import CatalogDamagedError
from support.entrybatches import batch_of, batches_of, file

NAMES = st.binary(min_size=1, max_size=2).filter(lambda name: b"\0" not in name)
STREAMS = st.dictionaries(NAMES, st.integers(0, 3), max_size=25)
CUTS = st.lists(st.integers(0, 6), max_size=8)


def entries(tree):
    return [file(path, bytes([content])) for path, content in tree.items()]


def taken(windows):
    """What the windows hold, path by path: both sides' contents, None where there is none."""
    found = []
    for window in windows:
        rows = [(window.left_paths[int(r)].as_py(), int(r), None) for r in window.only_left]
        rows += [(window.right_paths[int(r)].as_py(), None, int(r)) for r in window.only_right]
        for left, right in zip(window.left_rows, window.right_rows, strict=True):
            assert window.left_paths[int(left)] == window.right_paths[int(right)]
            rows.append((window.left_paths[int(left)].as_py(), int(left), int(right)))
        assert len(window.left_rows) + len(window.only_left) == window.left.num_rows
        assert len(window.right_rows) + len(window.only_right) == window.right.num_rows
        assert raw_paths(window.left).equals(window.left_paths)
        assert raw_paths(window.right).equals(window.right_paths)
        for one in (window.left_rows, window.right_rows, window.only_left, window.only_right):
            assert np.all(np.diff(one) > 0)
        for path, left, right in sorted(rows):
            digests = tuple(
                None if row is None else side.column("digest")[row].as_py()
                for side, row in ((window.left, left), (window.right, right))
            )
            found.append((path, digests))
    return found


@given(STREAMS, STREAMS, CUTS, CUTS)
@settings(deadline=None)
def test_windows_agree_with_a_dictionary(left, right, left_cuts, right_cuts):
    one, other = ({e.path: e.digest for e in entries(tree)} for tree in (left, right))
    expected = [(path, (one.get(path), other.get(path))) for path in sorted(one.keys() | other)]
    windows = align(
        batches_of(entries(left), left_cuts, scan=False), batches_of(entries(right), right_cuts)
    )
    assert expected == taken(windows)


@given(STREAMS, CUTS)
@settings(deadline=None)
def test_streams_without_any_batch_are_empty_sides(tree, cuts):
    digests = {e.path: e.digest for e in entries(tree)}
    left = taken(align(batches_of(entries(tree), cuts), []))
    assert [(path, (digests[path], None)) for path in sorted(tree)] == left
    right = taken(align([], batches_of(entries(tree), cuts)))
    assert [(path, (None, digests[path])) for path in sorted(tree)] == right


def test_two_empty_streams_have_no_window():
    assert [] == list(align([], []))
    assert [] == list(align([batch_of([])], []))


def test_a_stream_is_drawn_only_as_far_as_it_is_needed():
    drawn = []

    def stream(name):
        for number in range(20):
            drawn.append(name)
            yield batch_of([file(b"%02d" % number)])

    windows = align(stream("left"), stream("right"))
    for _ in range(3):
        next(windows)
    assert len(drawn) <= 10


@pytest.mark.parametrize("broken", [[b"b", b"a"], [b"a", b"a"]])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("within", [True, False])
def test_order_violations_are_damage(broken, side, within):
    pieces = [batch_of([file(path)]) for path in broken]
    if within:
        table = __import__("pyarrow").Table.from_batches(pieces).combine_chunks()
        pieces = table.to_batches()
    streams = [pieces, [batch_of([file(b"0"), file(b"z")])]]
    with pytest.raises(CatalogDamagedError, match="path order"):
        list(align(streams[side], streams[1 - side]))


def test_match_of_equal_paths_pairs_every_row():
    batch = batch_of([file(b"a"), file(b"b")])
    window = match(batch, raw_paths(batch), batch, raw_paths(batch))
    assert ([0, 1], [0, 1], [], []) == tuple(
        list(rows)
        for rows in (window.left_rows, window.right_rows, window.only_left, window.only_right)
    )
