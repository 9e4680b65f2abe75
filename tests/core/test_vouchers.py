from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.columns import raw_paths
from dataguard.core.vouchers import as_expected, overlaid, vouchers, withdrawn
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.journal import journal_schema
from support.entrybatches import batch_of, directory, file, link

SCHEMA = journal_schema(DigestPlan(Algorithm.XXH3_128))
PATHS = st.sampled_from([b"a", b"a/b", b"a-", b"b", b"c\xff", b"d"])
TABLES = st.dictionaries(PATHS, st.integers(0, 3))


def rows_of(batches):
    """Sizes by path, in the order in which they came."""
    found = []
    for batch in batches:
        sizes = batch.column("size").to_pylist()
        found += zip(raw_paths(batch).to_pylist(), sizes, strict=True)
    return found


def cut(table, width):
    entries = [file(path, b"x" * size) for path, size in sorted(table.items())]
    for start in range(0, len(entries), width):
        yield as_expected(vouchers(batch_of(entries[start : start + width]), SCHEMA))


@given(TABLES, TABLES, st.integers(1, 4))
def test_newer_rows_take_the_place_of_older_ones(older, newer, width):
    merged = overlaid(cut(older, width), cut(newer, width))
    assert sorted({**older, **newer}.items()) == rows_of(merged)


def test_only_files_that_were_read_and_are_not_racy_vouch():
    entries = [
        file(b"good", b"1"),
        file(b"racy", b"1", racy=True),
        file(b"unread", None),
        link(b"link", b"good"),
        directory(b"empty"),
    ]
    assert [(b"good", 1)] == rows_of([as_expected(vouchers(batch_of(entries), SCHEMA))])
    assert 0 == vouchers(batch_of([]), SCHEMA).num_rows


def test_withdrawn_paths_have_a_size_that_no_file_has():
    found = withdrawn([b"a", b"b"], SCHEMA)
    found.validate(full=True)
    assert [(b"a", -1), (b"b", -1)] == rows_of([as_expected(found)])
