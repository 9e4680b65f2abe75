"""What became of pinned objects: a streamed merge against a naive model."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.objectchanges import changes
from dataguard.core.objectverdicts import Seen, VersionRow, verdict
from dataguard.model.schema import LISTING

PREFIX = b"gold/"
PATHS = [b"a", b"a-b", b"a/b", b"a//b", b"b", b"c+d", b"\xc3\xa9", b"z" * 40]
EXPECTED = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("path_raw", pa.binary()),
        pa.field("size", pa.int64()),
        pa.field("etag", pa.string()),
        pa.field("version_id", pa.string()),
        pa.field("last_modified", pa.timestamp("ms", tz="UTC")),
    ]
)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def row(version, *, marker=False):
    """One version; its look follows from its name."""
    return {
        "size": None if marker else len(version),
        "etag": None if marker else f"e{version}",
        "version_id": version,
        "last_modified": MOMENT,
    }


def listing(stands):
    """Rows of a listing: per path the versions, newest first, and which are markers."""
    return [
        {
            "key": PREFIX + path,
            **row(version, marker=marker),
            "is_latest": number == 0,
            "is_delete_marker": marker,
        }
        for path, versions in sorted(stands.items())
        for number, (version, marker) in enumerate(versions)
    ]


def expected(pins):
    return [{"path": path.decode(), **row(version)} for path, version in sorted(pins.items())]


def batches(rows, sizes, schema):
    rows, sizes = list(rows), iter(sizes)
    while rows:
        count = next(sizes, 3)
        yield pa.RecordBatch.from_pylist(rows[:count], schema=schema)
        rows = rows[count:]


def naive(pins, stands):
    found = []
    for path in sorted({*pins, *stands}):
        pinned = VersionRow(**fields(row(pins[path]))) if path in pins else None
        versions = stands.get(path)
        seen = None
        if versions:
            version, marker = versions[0]
            newest = VersionRow(**fields(row(version, marker=marker)), is_marker=marker)
            seen = Seen(newest, pinned is not None and pins[path] in {one for one, _ in versions})
        found.append(verdict(path, pinned, seen))
    return [one for one in found if one is not None]


def fields(one):
    modified = int(one["last_modified"].timestamp() * 1000)
    return {k: v for k, v in one.items() if k != "last_modified"} | {"modified_ms": modified}


versions = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.booleans()),
    min_size=1,
    max_size=4,
    unique_by=lambda v: v[0],
)


@given(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from("pq")),
    st.dictionaries(st.sampled_from(PATHS), versions),
    st.lists(st.integers(1, 4)),
    st.lists(st.integers(1, 4)),
)
def test_merging_pages_finds_what_looking_at_each_key_finds(pins, stands, left, right):
    told = changes(
        batches(expected(pins), left, EXPECTED), batches(listing(stands), right, LISTING), PREFIX
    )
    assert naive(pins, stands) == list(told)


@given(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from("pq")),
    st.lists(st.integers(1, 4)),
    st.lists(st.integers(1, 4)),
)
def test_nothing_differs_where_nothing_was_done(pins, left, right):
    stands = {path: [(version, False), ("old", False)] for path, version in pins.items()}
    told = changes(
        batches(expected(pins), left, EXPECTED), batches(listing(stands), right, LISTING), PREFIX
    )
    assert [] == list(told)


@pytest.mark.parametrize(
    ("versions", "change", "code", "kept"),
    [
        ([("new", False), ("p", False)], "overwritten", "DG601", True),
        ([("new", False)], "version_gone", "DG603", False),
        ([("d", True), ("p", False)], "deleted", "DG602", True),
        ([("d", True)], "version_gone", "DG603", False),
        ([], "version_gone", "DG603", False),
    ],
)
def test_each_change_has_its_name_its_code_and_whether_the_pin_is_kept(
    versions, change, code, kept
):
    rows = listing({b"a": versions})
    (told,) = changes(
        batches(expected({b"a": "p"}), [], EXPECTED), batches(rows, [], LISTING), PREFIX
    )
    evidence = dict(told.evidence)
    assert (change, code, kept) == tuple(
        evidence[name] for name in ("change", "finding", "pinned_version_kept")
    )


def test_folder_of_the_prefix_and_deleted_strangers_are_nothing():
    rows = listing({b"": [("f", False)], b"x": [("d", True), ("q", False)]})
    told = changes(iter(()), batches(rows, [], LISTING), PREFIX)
    assert [] == list(told)


def test_a_listing_out_of_order_is_refused():
    rows = [*listing({b"b": [("q", False)]}), *listing({b"a": [("q", False)]})]
    with pytest.raises(ValueError, match="order"):
        list(changes(iter(()), batches(rows, [1], LISTING), PREFIX))


def test_objects_without_versions_are_compared_by_how_they_look():
    pinned = VersionRow(None, "e", 3, 5_000)
    for newest, change in [
        (VersionRow("null", "e", 3, 5_900), None),
        (VersionRow(None, "e", 3, 5_000), None),
        (VersionRow("null", "e", 3, 6_000), "overwritten"),
        (VersionRow("null", "f", 3, 5_000), "overwritten"),
        (VersionRow("null", None, None, 5_000, is_marker=True), "deleted"),
        (VersionRow("v1", "e", 3, 5_000), "overwritten"),
    ]:
        told = verdict(b"a", pinned, Seen(newest, None))
        assert change == (None if told is None else told.evidence["change"]), newest
