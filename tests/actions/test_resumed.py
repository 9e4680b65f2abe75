"""A store of which an earlier attempt read a part: nothing of it may be left out in silence."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from dataguard.actions.resumedstore import ResumedStore
from dataguard.core.columns import raw_paths
from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.journal import Amount, JournalHead, JournalKey, Pace
from dataguard.model.span import WHOLE
from dataguard.stores.interface import Scanned
from dataguard.stores.journal import Journal
from dataguard.stores.local import LocalStore

PLAN = DigestPlan(Algorithm.XXH3_128)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
ALWAYS = Pace(Amount(1, 1, 0.0), Amount(1, 1, 0.0))
DENIED = Unreadable(b"d", Obstacle.DENIED, "Permission denied")


class Closing(LocalStore):
    """A tree whose directory `d` may not be listed any more once some of it was."""

    said_before = False

    def scan(self, plan, *, read, span=WHOLE):
        if not span.after or self.said_before:
            yield from super().scan(plan, read=read, span=span)
        if span.after or self.said_before:
            empty = next(super().scan(plan, read=False)).entries.slice(0, 0)
            yield Scanned(empty, (DENIED,), 0, 0)


@pytest.fixture
def top(tmp_path):
    os.makedirs(tmp_path / "gold" / "d")
    for number in range(6):
        (tmp_path / "gold" / "d" / str(number)).write_bytes(b"x")
        os.utime(tmp_path / "gold" / "d" / str(number), (1e9, 1e9 + 0.5))
    return tmp_path


def journal_of(top, store):
    key = JournalKey(store.place, PLAN.algorithms, (), os.geteuid())
    head = JournalHead(key, store.filesystem(), NOW)
    return Journal(str(top / "state"), head, PLAN, clock=lambda: NOW, pace=ALWAYS)


def store_of(top, kind=LocalStore):
    return kind(str(top / "gold"), host="a", spread=SerialEngine().map)


def begin(top, count):
    """Leave a journal of an attempt that read so many files."""
    store = store_of(top)
    with journal_of(top, store) as journal:
        for piece in store.scan(PLAN, read=True):
            journal.add(piece.entries.slice(0, count), count)


def resumed(top, store):
    with journal_of(top, store) as journal:
        pieces = list(ResumedStore(store, journal).scan(PLAN, read=True))
    paths = [path for one in pieces for path in raw_paths(one.entries).to_pylist()]
    return paths, [item for one in pieces for item in one.unreadable], pieces


def test_rest_is_read_after_what_was_read_before(top):
    begin(top, 3)
    paths, unreadable, pieces = resumed(top, store_of(top))
    assert [b"d/%d" % number for number in range(6)] == paths
    assert ([], 3) == (unreadable, sum(one.files_read for one in pieces))


def test_directory_that_became_unreadable_on_the_way_is_said(top):
    begin(top, 3)
    paths, unreadable, _ = resumed(top, store_of(top, Closing))
    assert [b"d/0", b"d/1", b"d/2"] == paths
    assert [DENIED] == unreadable


def test_directory_that_is_unreadable_all_along_is_said_once(top, monkeypatch):
    begin(top, 3)
    monkeypatch.setattr(Closing, "said_before", True)
    _, unreadable, _ = resumed(top, store_of(top, Closing))
    assert [DENIED] == unreadable
