from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.align import align
from dataguard.core.copies import candidates, common_parts, recall, repeated
from dataguard.core.copyaccount import account, age_words
from dataguard.core.folders import Vote, nominees
from dataguard.core.goldindex import GoldIndex
from dataguard.core.goldmaking import shard_of
from dataguard.core.wantedsizes import Sizes
from dataguard.model.copies import Copy, CopyKind, FileState
from support.entrybatches import batch_of, directory, file, link

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACTS = st.fixed_dictionaries(
    {name: st.integers(1, 2) for name in ("mtime_ns", "ctime_ns", "inode")}
)
NAMES = st.sampled_from([b"a", b"b", b"c", b"d"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)


def seen(paths, *, read):
    """Entries by path with their facts; `read` ones have digests."""
    return [file(path, b"x" if read else None, **{**facts, "size": 1}) for path, facts in paths]


@given(st.dictionaries(NAMES, FACTS, min_size=1), st.dictionaries(NAMES, FACTS, min_size=1))
def test_a_digest_is_recalled_only_where_nothing_changed(now, then):
    left = [batch_of(seen(sorted(now.items()), read=False))]
    right = [batch_of(seen(sorted(then.items()), read=True))]
    known, unknown = set(), set()
    for window in align(left, right):
        found = recall(window)
        known |= {*found.known.column("path").to_pylist()}
        unknown |= {*found.unknown.column("path").to_pylist()}
    same = {path.decode() for path in now if now[path] == then.get(path)}
    assert (same, {path.decode() for path in now} - same) == (known, unknown)


@pytest.mark.parametrize("facts", [{"racy": True}, {"content": None}])
def test_what_was_racy_or_not_read_is_read_again(facts):
    left = [batch_of([file(b"a", None, size=1)])]
    right = [batch_of([file(b"a", facts.pop("content", b"x"), **{"size": 1, **facts})])]
    (window,) = align(left, right)
    assert (0, 1) == tuple(one.num_rows for one in recall(window))


def test_candidates_are_files_of_a_wanted_size():
    sizes = Sizes(GoldIndex((), ()), 2, np.array([1, 3]))
    batch = batch_of([file(b"a", b"x"), file(b"b", b"xxx"), directory(b"c"), link(b"d", b"xxx")])
    assert ["b"] == candidates(batch, sizes).column("path").to_pylist()


@given(st.lists(st.integers(0, 5)))
def test_repeated_sizes_are_those_of_several_files(sizes):
    counts = Counter(size for size in sizes if size)
    expected = sorted(size for size, count in counts.items() if count > 1)
    assert expected == repeated(np.array(sizes, np.int64)).tolist()


@given(PATHS, PATHS)
def test_common_parts_are_the_longest_shared_end(one, other):
    left, right = one.split(b"/"), other.split(b"/")
    best = max(
        n
        for n in range(min(len(left), len(right)) + 1)
        if left[len(left) - n :] == right[len(right) - n :]
    )
    assert best == common_parts(one, other)


def test_folder_is_the_deepest_that_holds_its_copies():
    votes = [
        Vote(b"/home/x/train/1", 0, b"train/1", 10),
        Vote(b"/home/x/train/2", 0, b"train/2", 10),
        Vote(b"/home/y/1", 0, b"train/1", 10),
        Vote(b"/home/z", 0, b"train/9", 10),
    ]
    (pair,) = nominees(votes)
    assert (b"/home/x/train", b"train", 2, 20) == (
        pair.directory,
        pair.prefix,
        pair.files,
        pair.bytes,
    )


def test_renamed_folder_is_paired_with_the_part_it_has():
    votes = [Vote(b"/w/mine/%d" % i, 3, b"a/b/%d" % i, i) for i in range(1, 4)]
    (pair,) = nominees(votes)
    assert (b"/w/mine", 3, b"a/b") == (pair.directory, pair.version, pair.prefix)


@given(st.lists(st.tuples(PATHS, st.integers(0, 1), PATHS), max_size=10))
def test_every_nominee_holds_its_votes_as_gold_does(given_votes):
    votes = [Vote(b"/w/" + path, version, entry, 1) for path, version, entry in given_votes]
    for pair in nominees(votes):
        inside = sum(
            vote.version == pair.version
            and vote.path.startswith(pair.directory + b"/")
            and vote.path.removeprefix(pair.directory + b"/")
            == vote.entry.removeprefix(pair.prefix + b"/" if pair.prefix else b"")
            for vote in votes
        )
        assert 2 <= pair.files <= inside


def copy(path, kind, sizes, uid, days):
    size, gained = sizes
    mtime_ns = int((NOW - timedelta(days=days)).timestamp()) * 10**9
    state = FileState(1, 1, size, mtime_ns, mtime_ns, uid, 1, gained)
    return Copy(path, kind, "faces", 1, b"a", None, size, gained, state)


COPIES = st.lists(
    st.builds(
        copy,
        PATHS.map(lambda path: b"/" + path),
        st.sampled_from(CopyKind),
        st.tuples(st.integers(0, 9), st.integers(0, 9)),
        st.integers(0, 2),
        st.sampled_from([0, 29, 30, 364, 365, 4000]),
    )
)


@given(COPIES)
def test_each_part_of_the_account_adds_up_to_the_same(copies):
    lines = account(copies, {0: "root"}, lambda path: path.decode()[:2], NOW)
    real = [one for one in copies if one.kind is not CopyKind.LINK]
    expected = (len(real), sum(o.bytes for o in real), sum(o.reclaimable for o in real))
    for by in ("user", "place", "dataset", "age") if real else ():
        mine = [line for line in lines if line.by == by]
        found = tuple(sum(getattr(o, n) for o in mine) for n in ("files", "bytes", "reclaimable"))
        assert expected == found


@pytest.mark.parametrize(
    ("days", "words"),
    [(29, "under 30 days"), (30, "30 days to 1 year"), (365, "1 year and older")],
)
def test_age_is_told_in_steps(days, words):
    assert words == age_words(int((NOW - timedelta(days=days)).timestamp()) * 10**9, NOW)


@given(
    st.lists(st.sets(st.integers(1, 60)), max_size=3),
    st.integers(-1, 40),
    st.integers(0, 50),
)
def test_tables_for_workers_have_the_sizes_that_columns_have(versions, least, limit):
    none = np.empty(0, np.uint64)
    shards = [
        shard_of(np.array(sorted(sizes), np.int64), none, none, none, none) for sizes in versions
    ]
    index = GoldIndex((), shards)
    repeated = np.empty(0, np.int64)
    one, other = Sizes(index, least).tables(limit), Sizes(index, least, repeated).tables(limit)
    wanted = {size for sizes in versions for size in sizes if size >= least}
    assert [size in wanted for size in range(limit)] == list(map(bool, one[0]))
    assert sorted(size for size in wanted if size >= limit) == one[1].tolist()
    assert [part.tolist() for part in other] == [part.tolist() for part in one]
