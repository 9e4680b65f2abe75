from __future__ import annotations

import stat
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.permissions import WriterCount
from support.entrybatches import batch_of, batches_of, directory, file, link

FACTS = st.tuples(st.integers(0, 0o7777), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(FACTS, max_size=20), st.lists(st.integers(0, 5), max_size=4))
@settings(deadline=None)
def test_counts_agree_with_counting_one_by_one(facts, cuts):
    entries = [
        file(b"%03d" % n, mode=stat.S_IFREG | mode, uid=uid, gid=gid)
        for n, (mode, uid, gid) in enumerate(facts)
    ]
    count = WriterCount()
    for batch in batches_of(entries, cuts):
        count.add(batch)
    assert Counter(uid for mode, uid, _ in facts if mode & 0o200) == count.owners
    assert Counter(gid for mode, _, gid in facts if mode & 0o020) == count.groups
    assert sum(bool(mode & 0o002) for mode, _, _ in facts) == count.everybody


def test_only_regular_files_count():
    count = WriterCount()
    count.add(batch_of([directory(b"d", mode=stat.S_IFDIR | 0o777), link(b"l", b"x")]))
    assert ({}, {}, 0) == (count.owners, count.groups, count.everybody)


def test_a_batch_without_rows_may_lack_the_columns_of_a_scan():
    count = WriterCount()
    count.add(batch_of([], sheet=False, scan=False))
    assert 0 == count.everybody
