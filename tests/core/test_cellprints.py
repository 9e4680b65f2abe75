"""Cells that mean the same have the same hash, others have not."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.cellprints import UnhashableColumnError, cell_hashes


def hashes(values, kind=None):
    return cell_hashes(pa.array([*map(plain, values)], kind)).tolist()


def plain(value):
    """Arrow takes no numbers of numpy's where it was loaded as commands load it."""
    return value.item() if isinstance(value, np.generic) else value


INTEGERS = st.integers(-(2**31), 2**31 - 1)


@given(st.lists(st.none() | INTEGERS))
def test_integers_are_the_same_in_every_width_as_floats_as_decimals_and_as_text(values):
    expected = hashes(values, pa.int64())
    assert expected == hashes(values, pa.int32())
    assert expected == hashes(values, pa.float64())
    assert expected == hashes(values, pa.decimal128(20, 3))
    texts = ["" if value is None else str(value) for value in values]
    assert expected == hashes(texts, pa.string())


@given(st.lists(st.floats(width=32)))
def test_text_of_short_floats_reads_as_the_same_unless_it_is_a_large_integer(values):
    values = [one for one in values if not 2**24 < abs(one) < 2**63]
    tiny = np.finfo(np.float32).tiny
    column = np.array([one for one in values if not 0 < abs(one) < tiny], np.float32)
    expected = hashes(column, pa.float32())
    assert expected == hashes([str(one) for one in column], pa.string())
    assert expected == hashes(column.astype(np.float64), pa.float64())


def test_zero_has_no_sign_and_nothing_has_one_form():
    assert hashes([0.0, -0.0]) == hashes(["0", "-0"]) == hashes([0, 0])
    nothing = [hashes([None], pa.int8()), hashes([float("nan")]), hashes([""]), hashes(["NaN"])]
    assert [[0]] * 4 == nothing


def test_infinities_and_huge_and_tiny_numbers_keep_apart():
    values = [float("inf"), float("-inf"), 1e300, 2e300, 1e-300, 2e-300, 2.0**63, 0.0]
    assert hashes(values) == hashes([repr(one) for one in values])
    assert len(values) == len(set(hashes(values)))
    assert hashes([2**63], pa.uint64()) == hashes([2.0**63])


@given(st.lists(st.text() | st.none()), st.integers(1, 5))
def test_text_is_the_same_in_every_encoding_and_cut(values, cut):
    expected = hashes(values, pa.string())
    column = pa.array(values, pa.string())
    assert expected == hashes(values, pa.large_string())
    assert expected == hashes(values, pa.string_view())
    assert expected == cell_hashes(column.dictionary_encode()).tolist()
    assert expected == cell_hashes(column.cast(pa.binary())).tolist()
    parts = [cell_hashes(column.slice(i, cut)).tolist() for i in range(0, len(values), cut)]
    assert expected == [one for part in parts for one in part]


def test_repeated_text_has_the_hashes_of_text_that_is_not():
    values = ["a", "12", None, "", "2020-01-01"] * 1_000
    column = pa.array(values)
    single = [hashes([value], pa.string())[0] for value in values[:5]]
    assert single * 1_000 == cell_hashes(column).tolist()
    runs = pa.array(["a"] * 9 + [None])
    assert [single[0]] * 9 + [0] == cell_hashes(pa.compute.run_end_encode(runs)).tolist()


SINCE, UNTIL = dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01")


@given(st.lists(st.datetimes(SINCE, UNTIL)))
def test_times_are_the_same_in_every_unit_and_as_text(values):
    expected = hashes(values, pa.timestamp("us"))
    assert expected == hashes(values, pa.timestamp("ns"))
    assert expected == hashes(values, pa.timestamp("us", "UTC"))
    assert expected == hashes([str(value) for value in values], pa.string())
    assert expected == hashes([value.isoformat() for value in values], pa.string())
    days = [value.date() for value in values]
    expected = hashes(days, pa.date32())
    assert expected == hashes(days, pa.date64())
    assert expected == hashes([str(day) for day in days], pa.string())


def test_time_zones_only_show_an_instant_otherwise():
    at = ["2020-01-01 00:00Z", "2020-01-01T02:00:00+02:00", "2020-01-01"]
    assert 1 == len(set(hashes(at)))
    assert hashes(["2020-13-45", "2020-01-01"])[1] == hashes(at)[0]
    assert 2 == len(set(hashes(["2020-13-45", "2020-13-46"])))


def test_truths_are_one_and_zero():
    assert hashes([True, False]) == hashes([1, 0]) == hashes(["True", "false"])


def test_text_that_is_no_number_stays_text():
    values = ["1 2", "1,5", "0x10", "1e", "-", ".", "--1", "+1", "12a", "Infinite", "nano", "e5"]
    assert len(values) == len(set(hashes(values)))
    assert hashes(["001"]) == hashes([1])  # as everybody's readers of CSV have it


def test_bytes_that_are_no_text_are_hashed_as_they_are():
    assert 3 == len(set(hashes([b"\xff", b"\xfe", b"1\xff"])))


def test_lists_count_order_and_structs_do_not():
    assert hashes([[1, 2], [2, 1]])[0] != hashes([[1, 2], [2, 1]])[1]
    expected = hashes([[1, 2], [], None, [3]])
    assert expected == hashes([["1", "2"], None, [], ["3"]])
    assert expected == hashes([[1, 2], [], None, [3]], pa.large_list(pa.float32()))
    assert expected[1:] == cell_hashes(pa.array([[1, 2], [], None, [3]]).slice(1)).tolist()
    fixed = pa.array([[0, 0], [1, 2], [1, 2]], pa.list_(pa.int8(), 2)).slice(1)
    assert expected[:1] * 2 == cell_hashes(fixed).tolist()
    records = [{"a": 1, "b": None}, {"a": 2, "b": "x"}, None, {}]
    turned = [{"b": None, "a": 1, "c": None}, {"b": "x", "a": 2, "c": None}, {}, None]
    assert hashes(records) == hashes(turned)
    assert hashes(records)[1:] == cell_hashes(pa.array(records).slice(1)).tolist()
    pairs = pa.array([[("a", 1)], [("b", 1)]], pa.map_(pa.string(), pa.int8()))
    assert 2 == len(set(cell_hashes(pairs).tolist()))


def test_spans_and_extensions_have_cells_and_unions_have_none():
    span = dt.timedelta(seconds=5)
    assert hashes([span], pa.duration("s")) == hashes([span], pa.duration("ns"))
    assert hashes([dt.time(1)], pa.time32("s")) == hashes([dt.time(1)], pa.time64("ns"))
    plain = pa.array([b"\1" * 16], pa.binary(16))
    extension = pa.ExtensionArray.from_storage(pa.uuid(), plain)
    assert cell_hashes(plain).tolist() == cell_hashes(extension).tolist()
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(UnhashableColumnError, match="union"):
        cell_hashes(union)


def test_decimals_are_numbers():
    values = [decimal.Decimal("1.50"), decimal.Decimal("-3.00"), None]
    assert hashes(values) == hashes([1.5, -3, None])
