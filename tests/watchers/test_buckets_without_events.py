from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dataguard.model.finding import Code
from dataguard.watchers.objects import ObjectsWatcher

ROOTS = (b"s3://data/a", b"s3://data/b")


class Hub:
    """Events of buckets that never come."""

    names = ("nobody",)

    def join(self, outlet, roots):
        del outlet, roots

    def leave(self, outlet):
        del outlet


def clock():
    return datetime(2026, 1, 1, tzinfo=UTC)


def test_each_bucket_without_events_is_one_gap_of_a_start():
    watcher = ObjectsWatcher(clock)
    watcher.start(ROOTS)
    told = watcher.read(0)
    assert [(root, root, Code.DG904) for root in ROOTS] == [
        (one.root, one.path, one.kind.code) for one in told
    ]
    assert () == watcher.read(0)


@pytest.mark.parametrize("roots", [ROOTS, ROOTS[:1]])
def test_where_events_are_read_there_is_no_gap(roots):
    watcher = ObjectsWatcher(clock, hub=Hub())
    watcher.start(roots)
    assert () == watcher.read(0)
    watcher.close()
