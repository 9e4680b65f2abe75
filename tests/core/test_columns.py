from __future__ import annotations

from array import array

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.columns import (
    binary_column,
    distinct,
    fixed_bytes,
    fixed_column,
    flag_column,
    gather,
    joined,
    kind_mask,
    letter_column,
    mask_of,
    number_column,
    numbers,
    raw_paths,
    shortened,
    text_paths,
    values_of,
    words,
)

PIECES = st.one_of(st.binary(max_size=4), st.text(max_size=3).map(str.encode))
BINARY = st.lists(st.lists(PIECES, max_size=3).map(b"".join), max_size=12)
INT64 = st.integers(-(2**63), 2**63 - 1)
SLICES = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(BINARY)
@settings(deadline=None)
def test_paths_come_back_from_their_text_form(values):
    text, raw = text_paths(pa.array(values, pa.binary()))
    for column in (text, raw):
        column.validate(full=True)
    batch = pa.RecordBatch.from_arrays([text, raw], ["path", "path_raw"])
    assert values == raw_paths(batch).to_pylist()


@given(BINARY, st.integers(0, 5), SLICES)
@settings(deadline=None)
def test_values_are_shortened_at_their_beginning(values, skip, part):
    column = pa.array([b"p" * skip + value for value in values], pa.binary()).slice(*part)
    found = shortened(column, skip)
    found.validate(full=True)
    assert values[part[0] :][: part[1]] == found.to_pylist()


@given(BINARY)
@settings(deadline=None)
def test_raw_paths_are_kept_only_where_they_are_no_text(values):
    text, raw = text_paths(pa.array(values, pa.binary()))
    for value, shown, kept in zip(values, text.to_pylist(), raw.to_pylist(), strict=True):
        try:
            assert (value.decode(), None) == (shown, kept)
        except UnicodeDecodeError:
            assert (value.decode("utf-8", "backslashreplace"), value) == (shown, kept)


@pytest.mark.parametrize("surrogate", [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\xaf", b"\xf5"])
def test_what_only_looks_like_text_is_kept_raw(surrogate):
    text, raw = text_paths(pa.array([surrogate], pa.binary()))
    assert [surrogate] == raw.to_pylist()
    assert [surrogate.decode("utf-8", "backslashreplace")] == text.to_pylist()


@given(BINARY, SLICES)
@settings(deadline=None)
def test_binary_columns_hold_their_values_and_show_them(values, cut):
    column = binary_column(values)
    column.validate(full=True)
    assert pa.array(values, pa.binary()).equals(column)
    part, expected = column.slice(*cut), values[cut[0] :][: cut[1]]
    content, lengths = values_of(part)
    assert (b"".join(expected), [len(v) for v in expected]) == (bytes(content), lengths.tolist())


@given(st.lists(st.text(max_size=3), max_size=8), SLICES)
@settings(deadline=None)
def test_text_columns_are_shown_as_bytes(values, cut):
    part = pa.array(values, pa.string()).slice(*cut)
    content, lengths = values_of(part)
    expected = [value.encode() for value in values[cut[0] :][: cut[1]]]
    assert (b"".join(expected), [len(v) for v in expected]) == (bytes(content), lengths.tolist())


@given(st.lists(st.one_of(st.none(), st.binary(min_size=3, max_size=3)), max_size=20))
@settings(deadline=None)
def test_fixed_columns_hold_their_values_and_nulls(values):
    column = fixed_column(values, 3)
    column.validate(full=True)
    assert pa.array(values, pa.binary(3)).equals(column)
    assert sum(value is None for value in values) == column.null_count


@given(st.lists(st.binary(min_size=2, max_size=2), max_size=12), SLICES)
@settings(deadline=None)
def test_fixed_bytes_are_those_of_the_slice(values, cut):
    part = fixed_column(values, 2).slice(*cut)
    assert b"".join(values[cut[0] :][: cut[1]]) == bytes(fixed_bytes(part))


@given(st.lists(INT64, max_size=12), SLICES)
@settings(deadline=None)
def test_numbers_go_in_and_out(values, cut):
    for given_as in (array("q", values), np.array(values, np.int64)):
        column = number_column(given_as)
        column.validate(full=True)
        assert pa.array(values, pa.int64()).equals(column)
        assert values[cut[0] :][: cut[1]] == numbers(column.slice(*cut)).tolist()


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=8), SLICES)
@settings(deadline=None)
def test_words_of_a_column_differ_where_its_values_do(values, cut):
    ones, others = values[cut[0] :][: cut[1]], [bytes(16)] * len(values[cut[0] :][: cut[1]])
    left = words(fixed_column(values, 16).slice(*cut))
    right = words(fixed_column([bytes(16)] * len(values), 16).slice(*cut))
    assert left is not None
    assert (len(ones), 2) == left.shape
    differ = [one != other for one, other in zip(ones, others, strict=True)]
    assert differ == (left != right).any(axis=1).tolist()


def test_only_columns_of_whole_words_are_shown_as_words():
    assert words(pa.array([b"abc"], pa.binary(3))) is None
    assert words(pa.array(["f"], pa.string())) is None
    assert words(pa.array([1], pa.int32())) is None
    found = words(pa.array([1, -1], pa.int64()))
    assert found is not None
    assert [[1], [-1]] == found.tolist()


def test_numbers_of_narrow_columns():
    assert [3, -4] == numbers(pa.array([3, -4], pa.int32())).tolist()
    assert [7] == numbers(pa.array([5, 7], pa.int32()).slice(1)).tolist()


@given(st.lists(st.booleans(), max_size=40), st.tuples(st.integers(0, 40), st.integers(0, 40)))
@settings(deadline=None)
def test_flags_go_in_and_out(values, cut):
    column = flag_column(bytes(values))
    column.validate(full=True)
    assert values == column.to_pylist()
    assert values[cut[0] :][: cut[1]] == numbers(column.slice(*cut)).tolist()


@given(st.text("fld", max_size=20), st.tuples(st.integers(0, 20), st.integers(0, 20)))
@settings(deadline=None)
def test_kind_mask_says_which_rows_are_of_a_kind(kinds, cut):
    batch = pa.RecordBatch.from_arrays([pa.array(list(kinds), pa.string())], ["kind"]).slice(*cut)
    for kind in "fld":
        expected = [one == kind for one in kinds[cut[0] :][: cut[1]]]
        assert expected == kind_mask(batch, kind).tolist()


def test_mask_is_true_at_the_rows():
    assert [False, True, False, True] == mask_of(4, np.array([1, 3])).tolist()
    assert [False] == mask_of(1, np.array([], dtype=np.int64)).tolist()


@given(st.text("fld", max_size=20), SLICES)
@settings(deadline=None)
def test_letters_become_texts(letters, cut):
    column = letter_column(np.frombuffer(letters.encode(), np.uint8)[cut[0] :][: cut[1]])
    column.validate(full=True)
    assert pa.array(list(letters[cut[0] :][: cut[1]]), pa.string()).equals(column)


@given(st.lists(st.integers(0, 9), max_size=10), st.integers(1, 7))
@settings(deadline=None)
def test_gathering_keeps_the_rows_and_joins_small_batches(sizes, rows):
    whole = pa.RecordBatch.from_arrays([pa.array(range(sum(sizes)), pa.int64())], ["n"])
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    groups = list(gather((whole.slice(s, n) for s, n in zip(starts, sizes, strict=True)), rows))
    assert list(range(sum(sizes))) == [n for group in groups for n in group.column(0).to_pylist()]
    assert all(rows <= group.num_rows < rows + 9 for group in groups[:-1])
    assert all(group.num_rows for group in groups)


def test_gathering_draws_no_further_than_it_needs():
    drawn = []

    def batches():
        for number in range(10):
            drawn.append(number)
            yield pa.RecordBatch.from_arrays([pa.array([number], pa.int64())], ["n"])

    groups = gather(batches(), 3)
    assert [0, 1, 2] == next(groups).column(0).to_pylist()
    assert [0, 1, 2] == drawn


def test_joining_nothing_but_empty_batches_is_an_empty_batch():
    empty = pa.RecordBatch.from_arrays([pa.array([], pa.int64())], ["n"])
    assert 0 == joined([empty, empty]).num_rows


@given(st.lists(st.integers(-5, 5)))
def test_distinct_values_are_told_once_in_order(values):
    assert sorted(set(values)) == distinct(np.array(values, np.int64)).tolist()
