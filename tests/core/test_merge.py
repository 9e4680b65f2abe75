from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.columns import raw_paths
from dataguard.core.merge import by_path, merge_sorted
from dataguard.errors import CatalogDamagedError
from support.entrybatches import batch_of, batches_of, file

NAMES = st.binary(min_size=1, max_size=3).filter(lambda name: b"\0" not in name)
PLACED = st.dictionaries(NAMES, st.integers(0, 4), max_size=30)
CUTS = st.lists(st.integers(0, 5), max_size=6)


def rows(batches):
    return [row for batch in batches for row in batch.to_pylist()]


@given(PLACED, CUTS)
@settings(deadline=None)
def test_merging_agrees_with_sorting_in_memory(placed, cuts):
    entries = {path: file(path, path) for path in placed}
    streams = [
        batches_of([entries[path] for path in placed if placed[path] == stream], cuts)
        for stream in range(5)
    ]
    assert batch_of(list(entries.values())).to_pylist() == rows(merge_sorted(streams))


def test_no_streams_and_empty_ones_merge_to_nothing():
    assert [] == list(merge_sorted([]))
    assert [] == list(merge_sorted([[], [batch_of([])]]))


def test_shards_that_follow_one_another_pass_as_they_are():
    shards = [[batch_of([file(b"%d-%d" % (s, n)) for n in range(3)])] for s in range(4)]
    merged = list(merge_sorted(shards))
    assert [shard[0] for shard in shards] == merged


@pytest.mark.parametrize(
    "streams",
    [[[b"a"], [b"a"]], [[b"b", b"a"], []], [[b"a", b"c"], [b"b", b"c"]], [[b"a", b"a"], [b"b"]]],
)
def test_duplicates_and_broken_order_are_refused(streams):
    pieces = [[batch_of([file(path)]) for path in stream] for stream in streams]
    with pytest.raises(CatalogDamagedError, match="path order"):
        list(merge_sorted(pieces))


def test_one_batch_of_each_stream_is_drawn_at_a_time():
    drawn = [0, 0]

    def stream(which):
        for number in range(20):
            drawn[which] += 1
            yield batch_of([file(b"%03d" % (2 * number + which))])

    merged = merge_sorted([stream(0), stream(1)])
    for taken in range(1, 11):
        next(merged)
        assert sum(drawn) <= taken + 2


def test_by_path_is_the_order_of_bytes():
    names = [b"\xff", "\u00e9".encode(), b"a/b", b"a-b", b"a"]
    pieces = [batch_of([file(name)]) for name in names]
    table = __import__("pyarrow").Table.from_batches(pieces).combine_chunks().to_batches()[0]
    assert sorted(names) == raw_paths(by_path(table)).to_pylist()
