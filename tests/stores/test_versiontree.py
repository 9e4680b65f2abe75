"""A version as a tree: the same that a plain dictionary of its paths gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.columns import (
    binary_column,
    fixed_column,
    letter_column,
    number_column,
    text_paths,
)
from dataguard.core.pathrows import PathRows
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Kind
from dataguard.model.schema import manifest_schema
from dataguard.stores.versiontree import VersionTree

pa = pytest.importorskip("pyarrow")

NAMES = st.sampled_from([b"a", b"b", b"a-b", b"a.b", b"ab", b"0", b"\xff", b"a0", b" ", b"/"[:0]])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join).filter(bool)


class Rows:
    """What `Lookup` gives, of rows in memory."""

    def __init__(self, files, links, per_group):
        entries = sorted({**dict.fromkeys(files, None), **links}.items())
        self._batches = [
            batch_of(entries[start : start + per_group])
            for start in range(0, len(entries), per_group)
        ]
        self._firsts = [entries[start][0] for start in range(0, len(entries), per_group)]
        self.groups = len(self._batches)

    def holding(self, path):
        return sum(first <= path for first in self._firsts) - 1

    def group(self, number):
        return self._batches[number]


def batch_of(entries):
    paths = binary_column([path for path, _ in entries])
    kinds = letter_column(b"".join(b"l" if target else b"f" for _, target in entries))
    sizes = number_column([len(path) for path, _ in entries])
    digests = fixed_column([bytes(15) + path[-1:] for path, _ in entries], 16)
    targets = binary_column([target for _, target in entries])
    columns = [*text_paths(paths), kinds, sizes, digests, targets]
    return pa.RecordBatch.from_arrays(columns, schema=manifest_schema(Algorithm.XXH3_128))


def children_of(paths, directory):
    prefix = directory + b"/" if directory else b""
    below = [path[len(prefix) :] for path in sorted(paths) if path.startswith(prefix)]
    return list(dict.fromkeys(prefix + rest.partition(b"/")[0] for rest in below))


@given(st.sets(PATHS), st.integers(1, 5), PATHS | st.just(b""))
def test_looking_up_and_listing_agree_with_a_plain_dictionary(paths, per_group, asked):
    tree = VersionTree(Rows(paths, {}, per_group))
    found = tree.entry(asked)
    assert (asked if asked in paths else None) == (None if found is None else found.path)
    below = sorted(path for path in paths if not asked or path.startswith(asked + b"/"))
    assert below == [entry.path for entry in tree.below(asked)]
    assert sum(map(len, below)) == tree.bytes_below(asked)
    assert (bool(below) or not asked) == tree.is_directory(asked)
    listed = [one if isinstance(one, bytes) else one.path for one in tree.children(asked)]
    assert children_of(paths, asked) == list(dict.fromkeys(listed))
    places = [place for _, place in tree.children_from(asked)]
    assert sorted({0, *places}) == [0, *places]
    for number, place in enumerate(places, 1):
        behind = [
            one if isinstance(one, bytes) else one.path
            for one, _ in tree.children_from(asked, place)
        ]
        assert listed[number:] == behind
    for path in paths:
        assert path == tree.entry(path).path


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        (b"f", b"f"),
        (b"to-f", b"f"),
        (b"d/up", b"f"),
        (b"to-d/x", b"d/x"),
        (b"to-d/up", b"f"),
        (b"chain", b"f"),
        (b"dot", b""),
        (b".hidden", b".hidden"),
        (b"to-hidden", b".hidden"),
        (b"loop", None),
        (b"out", None),
        (b"absolute", None),
        (b"d/out", None),
        (b"to-nothing/x", b"nothing/x"),
    ],
)
def test_links_lead_where_their_words_say(path, leads):
    links = {
        b"to-f": b"f",
        b"d/up": b"../f",
        b"to-d": b"d",
        b"chain": b"to-f",
        b"dot": b".",
        b"loop": b"loop",
        b"out": b"../f",
        b"absolute": b"/f",
        b"d/out": b"../../gold/f",
        b"to-hidden": b"./.hidden",
        b"to-nothing": b"nothing",
    }
    tree = VersionTree(Rows([b"f", b"d/x", b".hidden"], links, 3))
    assert leads == tree.followed(path)


def test_rows_have_no_baseline_without_a_sheet():
    rows = PathRows(batch_of([(b"a", None), (b"l", b"a")]))
    assert (Kind.FILE, None, None) == (rows.entry(0).kind, rows.entry(0).baseline, rows.find(b"b"))
    assert (Kind.SYMLINK, b"a") == (rows.entry(1).kind, rows.entry(1).link_target)
