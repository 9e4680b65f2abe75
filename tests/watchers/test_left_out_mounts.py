"""Mounts in an area that root may not open: left out as any mount there, and so told."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from dataguard.model.watch import Gap, GapKind
from dataguard.watchers.choose import area_watcher, watcher
from support.deniedmounts import mounted_by_somebody_else
from support.mountcleanup import needs_mounts

pytestmark = [
    needs_mounts,
    pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no FUSE"),
]


def now():
    return datetime.now(UTC)


def gaps_of(new_watcher, source, root):
    """Return the kinds of gaps that a watcher tells of a directory at its start, by path."""
    with mounted_by_somebody_else(root / "data" / "theirs"):
        one = new_watcher(source, clock=now)
        try:
            one.start([os.fsencode(root)])
            return {
                (os.fsdecode(seen.path), seen.kind)
                for seen in one.read(0.5)
                if isinstance(seen, Gap)
            }
        finally:
            one.close()


@pytest.fixture
def place(area):
    (area / "data" / "theirs").mkdir(parents=True)
    return area


@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_mount_that_may_not_be_opened_in_an_area_is_left_out(place, source):
    expected = {(f"{place}/data/theirs", GapKind.LEFT_OUT)}
    assert expected == gaps_of(area_watcher, source, place)


@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_mount_that_may_not_be_opened_in_gold_is_a_gap(place, source):
    expected = {(f"{place}/data/theirs", GapKind.UNREADABLE)}
    assert expected == gaps_of(watcher, source, place)
