import hashlib
import struct

import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.columns import text_paths
from dataguard.core.identity import RootBuilder, root_digest, subtree_digest
from dataguard.errors import CatalogDamagedError
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Entry, Kind
from dataguard.model.schema import manifest_schema

SCHEMA = manifest_schema(Algorithm.XXH3_128)


def batch_of(entries: list[Entry]) -> pa.RecordBatch:
    text, raw = text_paths(pa.array([e.path for e in entries], pa.binary()))
    columns = [
        text,
        raw,
        pa.array([str(e.kind) for e in entries], pa.string()),
        pa.array([e.size for e in entries], pa.int64()),
        pa.array([e.digest for e in entries], pa.binary(16)),
        pa.array([e.link_target for e in entries], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def file(path: bytes, content: bytes) -> Entry:
    return Entry(path, Kind.FILE, len(content), xxhash.xxh3_128_digest(content))


def link(path: bytes, target: bytes) -> Entry:
    return Entry(path, Kind.SYMLINK, len(target), xxhash.xxh3_128_digest(target), target)


def directory(path: bytes) -> Entry:
    return Entry(path, Kind.DIRECTORY, 0, bytes(16))


def root_of(entries: list[Entry]) -> str:
    ordered = sorted(entries, key=lambda e: e.path)
    return str(root_digest([batch_of(ordered)], Algorithm.XXH3_128))


def naive_root(entries: list[Entry]) -> str:
    ordered = sorted(entries, key=lambda e: e.path)
    columns = [
        b"".join(e.path for e in ordered),
        b"".join(struct.pack("<I", len(e.path)) for e in ordered),
        b"".join(e.kind.encode() for e in ordered),
        b"".join(struct.pack("<Q", e.size) for e in ordered),
        b"".join(e.digest for e in ordered),
    ]
    head = b"dataguard-root-1\nxxh3-128\n" + struct.pack("<Q", len(ordered))
    body = b"".join(hashlib.sha256(column).digest() for column in columns)
    return "dg1:" + hashlib.sha256(head + body).hexdigest()


NAMES = st.binary(min_size=1, max_size=8).filter(
    lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b"..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
FILES = st.builds(file, PATHS, st.binary(max_size=12))
ENTRIES = st.lists(
    st.one_of(FILES, st.builds(link, PATHS, NAMES), st.builds(directory, PATHS)),
    max_size=12,
    unique_by=lambda e: e.path,
)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "dg1:609d6b136ea0192e13c8c00e00e40d05fe4ea8c88d0c4e94f7cd1d9bc0ffa986"),
        (
            [file(b"a", b"hello\n"), file(b"dir/b", b""), directory(b"e"), link(b"l", b"a")],
            "dg1:39ec6ccd93c3b62c1d177b917e7c9a8bf25bd300826d5f094c7d819ac269aa63",
        ),
        (
            [directory(b"a"), file(b"a-b", b"x")],
            "dg1:14c7393830b05201168529723f6a10a0d4f8503880eadebbf9dd7c232d6fc8d2",
        ),
    ],
)
def test_golden_vectors(entries, expected):
    assert expected == root_of(entries)


@given(ENTRIES)
def test_root_agrees_with_the_specification_read_literally(entries):
    assert naive_root(entries) == root_of(entries)


@given(ENTRIES, st.integers(1, 5))
def test_cutting_into_batches_does_not_matter(entries, rows):
    whole = batch_of(sorted(entries, key=lambda e: e.path))
    pieces = [whole.slice(i, rows) for i in range(0, whole.num_rows, rows)]
    assert root_of(entries) == str(root_digest(pieces, Algorithm.XXH3_128))


@given(ENTRIES, ENTRIES)
def test_different_contents_never_share_a_root(one, other):
    same = sorted(one, key=lambda e: e.path) == sorted(other, key=lambda e: e.path)
    normalised = (
        [(e.path, e.kind, e.size, e.digest) for e in one],
        [(e.path, e.kind, e.size, e.digest) for e in other],
    )
    assert (set(normalised[0]) == set(normalised[1])) == (root_of(one) == root_of(other))
    if same:
        assert root_of(one) == root_of(other)


@given(ENTRIES, NAMES)
def test_subtree_law(entries, prefix):
    nested = [Entry(prefix + b"/" + e.path, e.kind, e.size, e.digest) for e in entries]
    beside = [file(prefix + b"-x", b"1"), file(b"0" + prefix, b"2")]
    together = batch_of(sorted(nested + beside, key=lambda e: e.path))
    found = subtree_digest([together], prefix, Algorithm.XXH3_128)
    assert root_of(entries) == str(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"a", b"b"], [b"a:1\nb"]),
        ([b"ab", b"c"], [b"a", b"bc"]),
        ([b"caf\xc3\xa9"], [b"cafe\xcc\x81"]),
        ([b"\xff"], [b"\\xff"]),
        ([b"a\nb"], [b"a", b"b"]),
    ],
)
def test_crafted_names_do_not_collide(one, other):
    assert root_of([file(n, b"x") for n in one]) != root_of([file(n, b"x") for n in other])


def test_rows_out_of_order_are_refused():
    builder = RootBuilder(Algorithm.XXH3_128)
    with pytest.raises(CatalogDamagedError):
        builder.update(batch_of([file(b"b", b""), file(b"a", b"")]))


def test_batches_out_of_order_are_refused():
    builder = RootBuilder(Algorithm.XXH3_128)
    builder.update(batch_of([file(b"b", b"")]))
    with pytest.raises(CatalogDamagedError):
        builder.update(batch_of([file(b"b", b"")]))


def test_counts_are_those_of_regular_files():
    builder = RootBuilder(Algorithm.XXH3_128)
    builder.update(batch_of([file(b"a", b"123"), directory(b"d"), link(b"l", b"target")]))
    assert (3, 1, 3) == (builder.count, builder.files, builder.bytes)
