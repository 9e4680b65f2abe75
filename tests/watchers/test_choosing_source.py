"""Which source a root gets, and what is said where it is not the strongest."""

from __future__ import annotations

import os
import subprocess

import pytest

from contracts.watching import clock, covers, gap_kinds, gathered
from dataguard.errors import ConflictError, UsageError
from dataguard.model.finding import Code
from dataguard.model.watch import Gap, Source
from dataguard.watchers import fanotifycalls
from dataguard.watchers.choose import area_watcher, choose, watcher


def test_auto_takes_fanotify_where_it_works(area):
    choice = choose(os.fsencode(area))
    assert (Source.FANOTIFY, None) == (choice.source, choice.weaker_because)


def test_auto_takes_inotify_without_the_right_for_fanotify_and_says_so(area, monkeypatch):
    def refused():
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(fanotifycalls, "initialize", refused)
    choice = choose(os.fsencode(area))
    assert (Source.INOTIFY, "fanotify: it needs CAP_SYS_ADMIN") == (
        choice.source,
        choice.weaker_because,
    )


@pytest.fixture
def overlay(area):
    for name in ("lower", "upper", "work", "merged"):
        (area / name).mkdir()
    options = f"lowerdir={area}/lower,upperdir={area}/upper,workdir={area}/work"
    words = ["mount", "-t", "overlay", "overlay", "-o", options, str(area / "merged")]
    subprocess.run(words, check=True)
    return area / "merged"


def test_what_changes_elsewhere_is_polled(overlay):
    choice = choose(os.fsencode(overlay))
    assert Source.POLLING == choice.source
    assert "not all changes on overlay go through this kernel" in choice.weaker_because


@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_source_that_would_miss_changes_is_refused(overlay, source):
    with pytest.raises(ConflictError, match="overlay"):
        choose(os.fsencode(overlay), source)


def test_unknown_source_is_refused():
    with pytest.raises(UsageError, match="no source `kqueue`"):
        watcher("kqueue", clock=clock)


def test_roots_of_several_kinds_are_watched_as_one(overlay, area):
    roots = [os.fsencode(overlay), os.fsencode(area / "plain")]
    (area / "plain").mkdir()
    joined = watcher(clock=clock, poll_s=0.1)
    try:
        covered = joined.start(roots)
        assert [Source.POLLING, Source.FANOTIFY] == [one.source for one in covered]
        assert covered[0].weaker_because is not None
        assert Source.POLLING == joined.name
        paths = [overlay / "a", area / "plain" / "b"]
        for path in paths:
            path.write_bytes(b"x")
        seen = gathered(joined, paths)
    finally:
        joined.close()
    assert [] == [path for path in paths if not covers(seen, path)]


@pytest.mark.parametrize("eventless", [True, False])
def test_file_system_without_events_is_one_gap_of_a_start(overlay, area, eventless):
    (area / "plain").mkdir()
    root = overlay if eventless else area / "plain"
    polled = watcher("polling", clock=clock, poll_s=0.05)
    try:
        polled.start([os.fsencode(root)])
        (root / "a").write_bytes(b"x")
        seen = gathered(polled, [root / "a"])
        (root / "b").write_bytes(b"x")
        seen += gathered(polled, [root / "b"])
    finally:
        polled.close()
    gaps = [one for one in seen if isinstance(one, Gap)]
    expected = [(os.fsencode(root), Code.DG904)] if eventless else []
    assert expected == [(one.path, one.kind.code) for one in gaps]


@pytest.mark.usefixtures("overlay")
@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_overlay_mounted_in_an_area_is_left_out_and_no_gap(area, source):
    watched = area_watcher(source, clock=clock)
    try:
        watched.start([os.fsencode(area)])
        (area / "b").write_bytes(b"x")
        seen = gathered(watched, [area / "b"])
    finally:
        watched.close()
    assert set() == gap_kinds(seen)


def test_limits_come_with_what_to_raise(area):
    joined = watcher("inotify", clock=clock)
    try:
        [covered] = joined.start([os.fsencode(area)])
    finally:
        joined.close()
    limits = {one.name: one for one in covered.limits}
    watches = limits["fs.inotify.max_user_watches"]
    assert 1 == watches.used
    assert f"sysctl -w fs.inotify.max_user_watches={2 * watches.value}" == watches.hint
