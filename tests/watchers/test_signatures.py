"""Looks at a tree compared by numbers, against a comparison of all they stand for."""

from __future__ import annotations

import os
import stat

from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.watch import ChangeKind
from dataguard.watchers.signatures import SignaturesBuilder

STATUS = st.builds(
    lambda size, mtime, ctime, inode, mode: os.stat_result(
        (stat.S_IFREG | mode, inode, 1, 1, 0, 0, size, 0, mtime, ctime),
        {"st_mtime_ns": mtime, "st_ctime_ns": ctime},
    ),
    *[st.integers(0, 2)] * 4,
    st.sampled_from([0o600, 0o644]),
)
TREES = st.dictionaries(st.sampled_from([b"a", b"b", b"a/b", b"c", b""]), STATUS)


def taken(tree):
    builder = SignaturesBuilder()
    for path, status in tree.items():
        builder.add(path, status)
    return builder


def naive(before, path, now):
    if path not in before:
        return ChangeKind.CREATED
    then = before[path]
    if (then.st_size, then.st_mtime_ns, then.st_ino) != (now.st_size, now.st_mtime_ns, now.st_ino):
        return ChangeKind.MODIFIED
    if (then.st_ctime_ns, then.st_mode) != (now.st_ctime_ns, now.st_mode):
        return ChangeKind.METADATA
    return None


@given(TREES, TREES)
def test_changes_are_those_of_a_naive_comparison(before, after):
    found = dict(taken(after).changes(taken(before).done()))
    wanted = {
        position: kind
        for position, (path, status) in enumerate(after.items())
        if (kind := naive(before, path, status)) is not None
    }
    assert wanted == found


def test_a_look_is_compared_in_parts():
    status = os.stat("/")
    before = taken({b"a": status}).done()
    now = SignaturesBuilder()
    now.add(b"a", status)
    assert [] == list(now.changes(before))
    now.add(b"b", status)
    assert [(0, ChangeKind.CREATED)] == list(now.changes(before))
    assert 2 == len(now.done())
