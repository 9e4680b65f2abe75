"""What every source of events must do: inherit `WatchContract` and say how it is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from datetime import UTC, datetime

import pytest

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.watch import Gap, GapKind, WatchEvent

__all__ = ["WatchContract", "clock", "covers", "gap_kinds", "gaps", "gathered", "until"]

DEADLINE_S = 30.0
EVIL = (b"new\nline", b"-dash", b"%0A", b"\xff\xfe", b"n" * 255, b"e\xcc\x81", b"\xc3\xa9", b"a:b")


def clock():
    return datetime.now(UTC)


def until(watcher, wanted, *, within=DEADLINE_S):
    """Read until `wanted(sightings)` holds; return all that was seen, whether it did or not."""
    seen, end = [], time.monotonic() + within
    while time.monotonic() < end and not wanted(seen):
        seen += watcher.read(0.2)
    return seen


def gathered(watcher, paths, *, within=DEADLINE_S):
    """Return what was seen until all paths are covered."""
    paths = [os.fsencode(path) for path in paths]
    return until(watcher, lambda seen: all(covers(seen, path) for path in paths), within=within)


def covers(seen, path):
    """Whether an event on a path or a directory above it, or a gap, is among these."""
    path = os.fsencode(path)
    return any(_above(one.path, path) or _renamed(one, path) for one in seen)


def gap_kinds(seen):
    return {one.kind for one in seen if isinstance(one, Gap)}


def _above(directory, path):
    return path == directory or path.startswith(directory + b"/")


def _renamed(one, path):
    source = one.renamed_from if isinstance(one, WatchEvent) else None
    return source is not None and _above(source, path)


class WatchContract:
    """The laws of `Watcher`; `watcher` is not started, `area` a private file system's directory."""

    @pytest.fixture
    def watcher(self):
        raise NotImplementedError

    @pytest.fixture
    def root(self, area):
        root = area / "gold"
        (root / "sub").mkdir(parents=True)
        (root / "file").write_bytes(b"content")
        (root / "sub" / "deep").write_bytes(b"content")
        return root

    @pytest.fixture
    def started(self, watcher, root):
        watcher.start([os.fsencode(root)])
        yield watcher
        watcher.close()

    def test_it_works_here_or_says_why_not(self, watcher, root):
        assert watcher.unavailable(os.fsencode(root)) is None

    def test_missing_root_is_refused(self, watcher, area):
        try:
            with pytest.raises(StoreUnreachableError):
                watcher.start([os.fsencode(area / "absent")])
        finally:
            watcher.close()

    def test_started_once_only(self, started, root):
        with pytest.raises(ConflictError):
            started.start([os.fsencode(root)])

    def test_coverage_says_what_it_sees_and_what_not(self, watcher, root):
        try:
            [covered] = watcher.start([os.fsencode(root)])
        finally:
            watcher.close()
        assert os.fsencode(root) == covered.root
        assert watcher.name == covered.source
        assert "tmpfs" == covered.filesystem
        assert covered.sees
        assert covered.blind_to
        assert all(limit.value > 0 for limit in covered.limits)

    def test_nothing_happens_and_nothing_is_reported(self, started):
        assert () == started.read(0)
        assert () == started.read(0.7)

    def test_read_waits_no_longer_than_asked(self, started):
        began = time.monotonic()
        started.read(0.3)
        assert time.monotonic() - began < DEADLINE_S

    def test_changes_before_the_first_read_are_reported(self, started, root):
        (root / "file").write_bytes(b"changed")
        (root / "sub" / "new").write_bytes(b"x")
        (root / "sub" / "deep").unlink()
        paths = [root / "file", root / "sub" / "new", root / "sub" / "deep"]
        seen = gathered(started, paths)
        assert [] == [path for path in paths if not covers(seen, path)]
        assert set() == gap_kinds(seen)

    def test_events_name_the_root_and_a_path_below_it(self, started, root):
        (root / "file").write_bytes(b"changed")
        seen = gathered(started, [root / "file"])
        assert {os.fsencode(root)} == {one.root for one in seen}
        assert all(_above(one.root, one.path) for one in seen)
        assert all(one.time.tzinfo is not None for one in seen)

    def test_crowded_reader_gets_all_of_it_in_the_end(self, started, root):
        started.crowd(crowded=True)
        paths = [root / f"new{number}" for number in range(300)]
        for path in paths:
            path.write_bytes(b"new")
        seen = list(started.read(0.3))
        started.crowd(crowded=False)
        wanted = [os.fsencode(path) for path in paths]
        seen += until(started, lambda more: all(covers([*seen, *more], one) for one in wanted))
        assert [] == [one for one in wanted if not covers(seen, one)]

    def test_crowded_reader_learns_of_gaps_at_once(self, started, root, area):
        started.crowd(crowded=True)
        (root / "new").write_bytes(b"new")
        root.rename(area / "elsewhere")
        seen = until(started, gap_kinds)
        assert gap_kinds(seen)

    def test_every_name_comes_as_it_is(self, started, root):
        top = os.fsencode(root) + b"/sub/"
        for name in EVIL:
            with open(top + name, "wb") as file:
                file.write(b"x")
        wanted = {top + name for name in EVIL}
        seen = until(started, lambda seen: wanted <= {one.path for one in seen})
        assert set() == wanted - {one.path for one in seen}

    def test_new_directories_are_watched_at_once(self, started, root):
        paths = []
        for number in range(20):
            directory = root / f"new{number}" / "below" / "deeper"
            directory.mkdir(parents=True)
            paths.append(directory / "file")
            paths[-1].write_bytes(b"x")
        seen = gathered(started, paths)
        assert [] == [path for path in paths if not covers(seen, path)]
        assert len(seen) > 0

    def test_directory_that_came_from_outside_is_watched(self, started, root, area):
        (area / "tree" / "below").mkdir(parents=True)
        (area / "tree" / "below" / "file").write_bytes(b"x")
        os.rename(area / "tree", root / "tree")
        gathered(started, [root / "tree"])
        (root / "tree" / "below" / "file").write_bytes(b"changed")
        wanted = os.fsencode(root / "tree" / "below" / "file")
        seen = until(started, lambda seen: wanted in {one.path for one in seen})
        assert wanted in {one.path for one in seen}

    def test_directory_that_went_out_is_no_longer_gold(self, started, root, area):
        os.rename(root / "sub", area / "gone")
        gathered(started, [root / "sub"])
        (area / "gone" / "deep").write_bytes(b"changed")
        assert () == tuple(one for one in started.read(0.7) if b"deep" in one.path)

    def test_directory_that_came_and_went_is_no_longer_gold(self, started, root, area):
        (area / "tree").mkdir()
        os.rename(area / "tree", root / "tree")
        gathered(started, [root / "tree"])
        os.rename(root / "tree", area / "tree")
        until(started, lambda seen: any(one.path.endswith((b"tree", b"gold")) for one in seen))
        (area / "tree" / "file").write_bytes(b"x")
        assert () == tuple(one for one in started.read(0.7) if one.path.endswith(b"file"))

    def test_several_roots_are_told_apart(self, watcher, area):
        roots = [area / name for name in ("one", "one-more", "two")]
        for root in roots:
            root.mkdir()
        try:
            watcher.start([os.fsencode(root) for root in roots])
            (area / "one-more" / "file").write_bytes(b"x")
            seen = gathered(watcher, [area / "one-more" / "file"])
        finally:
            watcher.close()
        assert {os.fsencode(area / "one-more")} == {one.root for one in seen}

    def test_root_in_a_root_is_reported_for_both(self, watcher, root):
        roots = [os.fsencode(root), os.fsencode(root / "sub")]
        try:
            watcher.start(roots)
            (root / "sub" / "new").write_bytes(b"x")
            seen = until(watcher, lambda seen: set(roots) <= {one.root for one in seen})
        finally:
            watcher.close()
        assert set(roots) == {one.root for one in seen}

    def test_root_that_was_replaced_is_a_gap_and_watched_again(self, started, root, area):
        os.rename(root, area / "old")
        shutil.copytree(area / "old", root)
        seen = until(started, lambda seen: any("again" in one.message for one in gaps(seen)))
        assert {GapKind.REPLACED} == gap_kinds(seen)
        (root / "file").write_bytes(b"changed")
        assert covers(gathered(started, [root / "file"]), root / "file")

    def test_root_that_is_gone_is_a_gap(self, started, root):
        shutil.rmtree(root)
        seen = until(started, lambda seen: GapKind.REPLACED in gap_kinds(seen))
        assert GapKind.REPLACED in gap_kinds(seen)

    def test_watching_keeps_no_file_system_busy(self, watcher, area):
        root = area / "mounted"
        root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "watched", str(root)], check=True)
        try:
            watcher.start([os.fsencode(root)])
            (root / "file").write_bytes(b"x")
            gathered(watcher, [root / "file"])
            unmount(root)
            seen = until(watcher, lambda seen: GapKind.UNMOUNTED in gap_kinds(seen))
            assert GapKind.UNMOUNTED in gap_kinds(seen)
        finally:
            watcher.close()

    def test_unmounted_and_mounted_again_in_no_time_is_a_gap(self, watcher, area):
        root = area / "mounted"
        root.mkdir()
        script = f"until umount '{root}'; do sleep 0.1; done; mount -t tmpfs watched '{root}'"
        subprocess.run(["mount", "-t", "tmpfs", "watched", str(root)], check=True)
        try:
            watcher.start([os.fsencode(root)])
            subprocess.run(["sh", "-c", script], check=True)
            seen = until(watcher, lambda seen: any("again" in one.message for one in gaps(seen)))
            assert GapKind.UNMOUNTED in gap_kinds(seen)
            (root / "file").write_bytes(b"x")
            assert covers(gathered(watcher, [root / "file"]), root / "file")
        finally:
            watcher.close()

    def test_mounts_below_a_root_are_watched_and_missed(self, watcher, root):
        inner = root / "sub"
        subprocess.run(["mount", "-t", "tmpfs", "inner", str(inner)], check=True)
        wanted = os.fsencode(inner / "file")
        try:
            watcher.start([os.fsencode(root)])
            (inner / "file").write_bytes(b"x")
            seen = until(watcher, lambda seen: wanted in {one.path for one in seen})
            assert wanted in {one.path for one in seen}
            unmount(inner)
            seen = until(watcher, gaps)
            assert {GapKind.UNMOUNTED} == gap_kinds(seen)
        finally:
            watcher.close()

    @pytest.mark.parametrize("where", [".", "sub"])
    def test_mount_over_it_is_a_gap(self, started, root, where):
        subprocess.run(["mount", "-t", "tmpfs", "over", str(root / where)], check=True)
        wanted = os.fsencode(root / where)
        seen = until(started, lambda seen: (wanted, GapKind.MOUNTED_OVER) in whereabouts(seen))
        assert (wanted, GapKind.MOUNTED_OVER) in whereabouts(seen)

    def test_reader_that_dies_is_a_gap_and_begins_again(self, started, root, sensor, monkeypatch):
        take = sensor.take

        def fail_once():
            monkeypatch.setattr(sensor, "take", take)
            raise RecursionError("too deep")

        monkeypatch.setattr(sensor, "take", fail_once)
        seen = until(started, lambda seen: any("again" in one.message for one in gaps(seen)))
        assert {GapKind.READER_DIED} == gap_kinds(seen)
        assert "too deep" in gaps(seen)[0].message
        (root / "file").write_bytes(b"changed")
        assert covers(gathered(started, [root / "file"]), root / "file")

    def test_close_gives_everything_back_and_twice_is_once(self, watcher, root):
        before = left_open(), threading.active_count()
        watcher.start([os.fsencode(root)])
        (root / "file").write_bytes(b"changed")
        watcher.read(0.1)
        watcher.close()
        watcher.close()
        assert before == (left_open(), threading.active_count())

    def test_close_without_a_start_is_nothing(self, watcher):
        watcher.close()


def gaps(seen):
    return [one for one in seen if isinstance(one, Gap)]


def left_open():
    return len(os.listdir("/proc/self/fd"))


def unmount(place):
    """Unmount for good: a source that looks at a directory right now keeps it for that moment."""
    end = time.monotonic() + DEADLINE_S
    while subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode:
        assert time.monotonic() < end
        time.sleep(0.1)


def whereabouts(seen):
    return {(one.path, one.kind) for one in gaps(seen)}
