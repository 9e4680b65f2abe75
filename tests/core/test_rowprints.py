"""Prints of tables do not depend on order and types, and see every changed cell."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.rowprints import ALL, Printer, cells_of, row_hashes
from dataguard.core.tablematch import KnownTables
from dataguard.core.tableverdict import told, verdict

CELLS = st.none() | st.integers(-5, 5)
ROWS = st.lists(st.tuples(CELLS, CELLS, st.text(max_size=3)), max_size=20)


def table(rows, names=("a", "b", "c")):
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    arrays = [pa.array(columns[0], pa.int64()), pa.array(columns[1], pa.int64())]
    arrays.append(pa.array(columns[2], pa.string()))
    return pa.table(dict(zip(names, arrays, strict=True)))


def printed(found, rows=7, kept=1 << 16):
    printer = Printer(kept)
    for batch in found.to_batches(rows):
        printer.add(cells_of(batch))
    return printer.result()


def facts(one):
    return one.rows, one.total, one.parity, one.columns, one.sample.hashes.tolist()


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 30))
def test_order_of_rows_and_columns_and_batches_does_not_count(rows, chance, cut):
    expected = facts(printed(table(rows)))
    shuffled = chance.sample(rows, len(rows))
    turned = table(shuffled).select(chance.sample(["a", "b", "c"], 3))
    assert expected == facts(printed(turned, cut))


@given(ROWS)
def test_types_and_encodings_do_not_count(rows):
    expected = facts(printed(table(rows)))
    other = table(rows).cast(
        pa.schema([("a", pa.int8()), ("b", pa.float64()), ("c", pa.large_string())])
    )
    assert expected == facts(printed(other))
    encoded = table(rows)
    encoded = encoded.set_column(2, "c", encoded.column("c").dictionary_encode())
    assert expected == facts(printed(encoded))


@given(ROWS.filter(bool), st.data())
def test_a_changed_cell_counts(rows, data):
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 1))
    changed = [list(one) for one in rows]
    changed[row][column] = data.draw(CELLS.filter(lambda one: one != rows[row][column]))
    assert facts(printed(table(rows)))[:3] != facts(printed(table(changed)))[:3]


@given(ROWS.filter(bool))
def test_rows_count_as_often_as_they_occur(rows):
    once, twice = printed(table(rows)), printed(table(rows + rows[:1]))
    assert not once.same_rows(twice)
    assert once.sample.hashes.tolist() == twice.sample.hashes.tolist()


@given(ROWS)
def test_a_column_of_nothing_is_as_none(rows):
    wider = table(rows).append_column("d", pa.nulls(len(rows), pa.float64()))
    assert facts(printed(table(rows))) == facts(printed(wider))


def test_values_that_change_columns_count():
    assert not printed(table([(1, 2, "x")])).same_rows(printed(table([(2, 1, "x")])))
    named = printed(table([(1, 2, "x")], names=("b", "a", "c")))
    assert not named.same_rows(printed(table([(1, 2, "x")])))


def test_a_sample_is_the_smallest_hashes_and_all_of_few():
    rows = [(i, None, "") for i in range(1_000)]
    whole, some = printed(table(rows)), printed(table(rows), kept=100)
    assert (1_000, ALL) == (len(whole.sample.hashes), whole.sample.bound)
    assert whole.sample.hashes[:100].tolist() == some.sample.hashes.tolist()
    assert some.sample.bound == some.sample.hashes[-1]
    assert some.sample.hashes.tolist() == whole.sample.smallest(100).hashes.tolist()
    hashes = row_hashes(cells_of(table(rows).to_batches()[0]))
    assert np.unique(hashes).tolist() == whole.sample.hashes.tolist()


def asked(known, found, *, any_row=False):
    return asked_of([printed(one, 1_000, kept=256) for one in known], found, any_row=any_row)


def asked_of(prints, found, *, any_row=False):
    question = KnownTables(prints).asking()
    for batch in found.to_batches(300):
        question.add(cells_of(batch))
    match = question.result()
    matches = told(match, prints, any_row=any_row)
    return verdict(match, matches, prints) if matches else None


def large(count, seed=0):
    chance = random.Random(seed)
    return table([(chance.randrange(10**9), i, f"text {i}") for i in range(count)])


def test_the_same_table_is_told_as_that():
    said = asked([large(500, 1), large(500)], large(500).take(pa.array(range(499, -1, -1))))
    assert ("same", 1, 1.0, True) == (
        said.evidence["relation"],
        said.table,
        said.share,
        said.only_gold,
    )
    assert ("probable", 500, 500) == tuple(
        said.evidence[name] for name in ("confidence", "rows", "gold_rows")
    )


def test_a_slice_is_told_as_a_slice_with_its_share():
    said = asked([large(10_000)], large(10_000).slice(3_000, 1_000))
    assert ("slice", 1.0) == (said.evidence["relation"], said.share)
    assert 0.05 < said.evidence["gold_share"] < 0.15
    assert said.evidence["sampled"]


def test_a_table_with_another_column_has_the_rows_of_gold():
    wider = large(2_000).append_column("d", pa.array(range(2_000)))
    said = asked([large(2_000)], wider)
    assert ("same rows", 1.0) == (said.evidence["relation"], said.evidence["gold_share"])


def test_a_table_that_contains_gold_is_told_with_both_shares():
    both = pa.concat_tables([large(200), large(600, 7)])
    said = asked([large(200)], both)
    assert ("contains", 1.0, 0.25, False) == (
        said.evidence["relation"],
        said.evidence["gold_share"],
        said.share,
        said.only_gold,
    )
    assert [0, 1, 2, 3, 4] == said.evidence["examples"]


def test_one_row_is_told_where_a_leak_is_sought_alone():
    leaked = pa.concat_tables([large(600, 7), large(200).slice(50, 1)])
    assert asked([large(200)], leaked) is None
    said = asked([large(200)], leaked, any_row=True)
    assert ("overlap", 1, [600]) == tuple(
        said.evidence[name] for name in ("relation", "matched_rows", "examples")
    )


def test_long_text_is_found_under_another_name():
    questions = [f"how many apples has the farmer number {i} at the end" for i in range(300)]
    gold = pa.table({"question": questions, "answer": list(range(300))})
    found = pa.table({"prompt": questions[:150] + ["something else that is long"] * 30})
    said = asked([gold], found)
    assert ("column", "prompt", "question", 0.5) == tuple(
        said.evidence[name] for name in ("relation", "column", "gold_column", "gold_share")
    )
    assert not said.only_gold


def test_random_tables_are_no_copies_of_one_another():
    chance = np.random.default_rng(3)

    def one(rows):
        return pa.table(
            {
                "id": chance.integers(0, 100_000, rows).tolist(),
                "label": chance.integers(0, 10, rows).tolist(),
                "score": chance.normal(size=rows).tolist(),
                "name": [f"n{i}" for i in chance.integers(0, 50, rows)],
            }
        )

    known = [printed(one(int(chance.integers(1, 400))), 1_000) for _ in range(50)]
    for _ in range(100):
        assert asked_of(known, one(int(chance.integers(1, 400)))) is None


def test_rows_of_nothing_and_columns_of_numbers_alone_tell_nothing():
    empty = pa.table({"a": pa.nulls(50, pa.int64()), "b": pa.nulls(50, pa.int64())})
    assert asked([empty], empty.slice(1)) is None
    numbers = pa.table({"id": list(range(1_000))})
    assert asked([numbers], numbers.slice(10)) is None
    assert "same" == asked([numbers], numbers).evidence["relation"]


def test_tables_of_gold_that_overlap_do_not_make_a_foreign_row_gold():
    half = pa.concat_tables([large(100), large(100, 7)])
    said = asked([large(100), large(300).slice(0, 100), large(110)], half)
    assert not said.only_gold
    parts = [large(400).slice(0, 200), large(400).slice(200)]
    assert 1.0 == asked(parts, large(400)).share
