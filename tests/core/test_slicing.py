from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.columns import raw_paths, text_paths
from dataguard.core.slicing import cut, rows_in
from dataguard.model.span import WHOLE

PATHS = st.sets(st.binary(min_size=1, max_size=4), max_size=20).map(sorted)


def batches(paths: list[bytes], sizes: list[int], rows: int) -> list[pa.RecordBatch]:
    text, raw = text_paths(pa.array(paths, pa.binary()))
    whole = pa.RecordBatch.from_arrays(
        [text, raw, pa.array(sizes, pa.int64())], ["path", "path_raw", "size"]
    )
    return [whole.slice(start, rows) for start in range(0, len(paths), rows)]


def paths_of(stream) -> list[bytes]:
    return [path for batch in stream for path in raw_paths(batch).to_pylist()]


@given(PATHS, st.integers(1, 9), st.integers(1, 7), st.booleans(), st.data())
def test_spans_follow_one_another_and_hold_every_row_once(paths, count, rows, full, data):
    sizes = data.draw(st.lists(st.integers(0, 1 << 20), min_size=len(paths), max_size=len(paths)))
    stream = batches(paths, sizes, rows)
    spans = cut(stream, count, entries=len(paths), size=sum(sizes), full=full)
    assert count == len(spans)
    assert (b"", None) == (spans[0].after, spans[-1].through)
    assert [one.through for one in spans[:-1]] == [one.after for one in spans[1:]]
    parts = [paths_of(rows_in(stream, span)) for span in spans]
    assert paths == [path for part in parts for path in part]
    assert [[p for p in paths if span.contains(p)] for span in spans] == parts
    again = batches(paths, sizes, 3)
    assert spans == cut(again, count, entries=len(paths), size=sum(sizes), full=full)


@given(st.integers(1, 200), st.integers(1, 20))
def test_equal_files_are_shared_out_equally(files, count):
    paths = [b"%04d" % number for number in range(files)]
    stream = batches(paths, [1000] * files, 16)
    for full in (True, False):
        spans = cut(stream, count, entries=files, size=1000 * files, full=full)
        held = [len(paths_of(rows_in(stream, span))) for span in spans]
        assert max(held) - min(held) <= 1


def test_large_files_weigh_more_only_where_they_are_read():
    stream = batches([b"a", b"b", b"c", b"d"], [1 << 40, 1, 1, 1], 4)
    size = (1 << 40) + 3
    full = cut(stream, 2, entries=4, size=size, full=True)
    quick = cut(stream, 2, entries=4, size=size, full=False)
    assert [b"a", b"b"] == [full[0].through, quick[0].through]


def test_reading_stops_at_the_end_of_the_span():
    def endless():
        yield from batches([b"a", b"b", b"c"], [1, 1, 1], 1)
        raise AssertionError("read on")

    spans = cut(batches([b"a", b"b", b"c"], [1, 1, 1], 3), 3, entries=3, size=3, full=False)
    assert [b"a"] == paths_of(rows_in(endless(), spans[0]))
    assert [b"a", b"b", b"c"] == paths_of(rows_in(batches([b"a", b"b", b"c"], [1] * 3, 2), WHOLE))
