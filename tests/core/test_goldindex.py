from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.goldindex import GoldIndex
from dataguard.core.goldmaking import make_shard, shard_of
from dataguard.model.actor import Actor
from dataguard.model.dataset import Version, VersionState
from dataguard.model.digest import Algorithm, RootDigest
from support.entrybatches import batches_of, directory, file, link

XXH3 = Algorithm.XXH3_128
NOW = datetime(2030, 1, 1, tzinfo=UTC)
CONTENTS = st.sampled_from([b"", b"a", b"b", b"ab", b"ba", b"abc"])


def version(number):
    return Version(
        dataset="faces",
        number=number,
        root=RootDigest("0" * 64),
        algorithm=XXH3,
        entries=0,
        files=0,
        bytes=0,
        state=VersionState.ACTIVE,
        created=NOW,
        actor=Actor("somebody", 1, "host"),
    )


def index_of(*trees):
    shards = []
    for tree in trees:
        entries = [file(path, content) for path, content in sorted(tree.items())]
        shards.append(make_shard(batches_of(entries, rows=[3]), len(tree), 16))
    return GoldIndex([version(i + 1) for i in range(len(trees))], shards)


def asked(contents):
    sizes = np.array([len(one) for one in contents], np.int64)
    joined = b"".join(file(b"x", one).digest for one in contents)
    return sizes, np.frombuffer(joined, np.uint64).reshape(-1, 2)


def naive(trees, contents):
    """Every place of each content, as nested loops find it."""
    return {
        (query, number, row)
        for query, content in enumerate(contents)
        for number, tree in enumerate(trees)
        for row, (_, gold) in enumerate(sorted(tree.items()))
        if content and content == gold
    }


TREES = st.lists(
    st.dictionaries(st.sampled_from([b"p%d" % i for i in range(12)]), CONTENTS, max_size=12),
    max_size=4,
)


@given(TREES, st.lists(CONTENTS | st.binary(max_size=4), max_size=12))
def test_every_place_of_a_content_is_found_and_no_other(trees, contents):
    sizes, digests = asked(contents)
    hits = index_of(*trees).find(XXH3, sizes, digests)
    found = list(zip(*(column.tolist() for column in hits), strict=True))
    assert sorted(naive(trees, contents)) == found


@given(TREES, st.lists(CONTENTS | st.binary(max_size=4), max_size=12))
def test_few_contents_are_found_where_many_are(trees, contents):
    index, (sizes, digests) = index_of(*trees), asked(contents)
    words = memoryview(digests.tobytes()).cast("Q")
    many = zip(*(column.tolist() for column in index.find(XXH3, sizes, digests)), strict=True)
    assert list(many) == index.find_few(XXH3, sizes.tolist(), words)


def test_few_contents_that_are_everywhere_are_found_where_many_are():
    index = index_of({b"%03d" % i: b"same" for i in range(500)}, {b"x": b"same"})
    sizes, digests = asked([b"same", b"other", b"same"])
    words = memoryview(digests.tobytes()).cast("Q")
    many = zip(*(column.tolist() for column in index.find(XXH3, sizes, digests)), strict=True)
    assert list(many) == index.find_few(XXH3, sizes.tolist(), words)


@given(TREES, st.lists(st.integers(0, 5), max_size=8))
def test_only_sizes_of_gold_may_hold_a_copy(trees, sizes):
    known = {len(content) for tree in trees for content in tree.values()} - {0}
    found = index_of(*trees).may_hold(np.array(sizes, np.int64))
    assert [size in known for size in sizes] == found.tolist()


def test_places_of_a_content_that_is_everywhere_are_bounded():
    tree = {b"%03d" % i: b"same" for i in range(500)}
    hits = index_of(tree).find(XXH3, *asked([b"same"]))
    assert list(range(16)) == hits.rows.tolist()


def test_links_and_directories_are_no_files():
    entries = [directory(b"a"), file(b"b", b"x"), link(b"c", b"x")]
    shard = make_shard(batches_of(entries, rows=[3]), 3, 16)
    assert ([1], [1]) == (shard.sizes.tolist(), shard.columns.rows.tolist())


def test_other_algorithms_are_not_asked():
    hits = index_of({b"a": b"x"}).find(Algorithm.SHA256, *asked([b"x"]))
    assert 0 == len(hits.queries)


@pytest.mark.long
def test_each_of_ten_million_rows_is_found():
    count = 10_000_000
    heads = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(heads)
    lengths = np.full(count, 7, np.int64)
    rows = np.arange(count, dtype=np.uint32)[order]
    shard = shard_of(np.array([7]), heads[order], heads[order][:, np.newaxis], lengths, rows)
    wanted = np.stack([heads[:100_000], heads[:100_000]], axis=1)
    queries, found = shard.find(np.full(100_000, 7, np.int64), wanted)
    assert (queries == found).all()
