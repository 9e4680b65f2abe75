from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core import kernels

values = st.lists(st.none() | st.integers(-3, 3), max_size=20).map(
    lambda x: pa.array(x, pa.int64())
)
whole = st.lists(st.binary(max_size=3), max_size=20).map(lambda x: pa.array(x, pa.binary()))


@st.composite
def pairs(draw):
    size = draw(st.integers(0, 20))
    items = st.lists(st.none() | st.integers(-3, 3), min_size=size, max_size=size)
    return pa.array(draw(items), pa.int64()), pa.array(draw(items), pa.int64())


@given(values)
def test_one_column_gives_what_the_public_functions_give(column):
    assert pc.is_null(column).equals(kernels.nulls_of(column))
    assert pc.is_valid(column).equals(kernels.present(column))
    assert pc.array_sort_indices(column).equals(kernels.order_of(column))


@given(pairs())
def test_two_columns_give_what_the_public_functions_give(columns):
    left, right = columns
    assert pc.not_equal(left, right).equals(kernels.unequal(left, right))
    assert pc.coalesce(left, right).equals(kernels.coalesced(left, right))


@given(values, st.data())
def test_rows_are_chosen_as_the_methods_of_columns_choose_them(column, data):
    count = len(column)
    chosen = st.lists(st.integers(0, max(count - 1, 0)), max_size=0 if not count else 9)
    rows = pa.array(data.draw(chosen), pa.int64())
    flags = pa.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), pa.bool_())
    batch = pa.record_batch({"column": column})
    assert column.take(rows).equals(kernels.taken(column, rows))
    assert batch.take(rows).equals(kernels.taken(batch, rows))
    assert column.filter(flags).equals(kernels.kept(column, flags))
    assert batch.filter(flags).equals(kernels.kept(batch, flags))


@given(whole)
def test_ascending_means_that_sorting_changes_nothing_and_nothing_is_twice(column):
    found = column.to_pylist()
    assert (found == sorted(set(found))) == kernels.is_ascending(column)


@given(whole, whole)
def test_places_are_those_the_public_function_gives(column, among):
    assert pc.index_in(column, value_set=among).equals(kernels.places_in(column, among))
