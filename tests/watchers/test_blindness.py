"""A source that does not see everything says so within seconds."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from contracts.watching import clock, covers, gap_kinds, gaps, gathered, until
from dataguard.model.watch import ChangeKind, GapKind, Source
from dataguard.watchers import fanotifycalls, inotifycalls
from dataguard.watchers.canary import Canary
from dataguard.watchers.choose import watcher as chosen
from dataguard.watchers.fanotify import FanotifySensor
from dataguard.watchers.inotify import InotifySensor
from dataguard.watchers.outlet import Outlet, Queue
from dataguard.watchers.watcher import SensorWatcher
from support.kernelnumbers import kernel_number

SENSORS = {Source.FANOTIFY: FanotifySensor, Source.INOTIFY: InotifySensor}
EMPTY = {Source.FANOTIFY: fanotifycalls.initialize, Source.INOTIFY: inotifycalls.initialize}


@pytest.fixture
def root(area):
    root = area / "gold"
    root.mkdir()
    return root


@pytest.fixture
def begun(root):
    """Start a sensor on the root and close it at the end."""
    started = []

    def begin(sensor):
        started.append(SensorWatcher(sensor, clock))
        started[-1].start([os.fsencode(root)])
        return started[-1]

    yield begin
    for watcher in started:
        watcher.close()


def burst(root, count):
    for number in range(count):
        (root / f"{number}").write_bytes(b"x")


@pytest.mark.xdist_group("sysctl")
def test_overflow_of_inotify_is_a_gap_and_directories_of_then_are_watched(root, begun):
    with kernel_number("fs.inotify.max_queued_events", 256):
        sensor = InotifySensor()
        watcher = begun(sensor)
        drain, sensor._drain = sensor._drain, lambda: None  # the reader sleeps
        burst(root, 300)
        (root / "unseen").mkdir()
        sensor._drain = drain
        seen = until(watcher, lambda seen: any("again" in one.message for one in gaps(seen)))
    assert {GapKind.OVERFLOW} == gap_kinds(seen)
    wanted = root / "unseen" / "file"
    wanted.write_bytes(b"x")
    assert os.fsencode(wanted) in {one.path for one in gathered(watcher, [wanted])}


@pytest.mark.xdist_group("sysctl")
def test_overflow_of_fanotify_is_a_gap_and_directories_of_then_are_watched(
    root, begun, monkeypatch
):
    limited = fanotifycalls.INIT_FLAGS & ~0x10
    monkeypatch.setattr(fanotifycalls, "INIT_FLAGS", limited)
    with kernel_number("fs.fanotify.max_queued_events", 256):
        sensor = FanotifySensor()
        watcher = begun(sensor)
        take, sensor.take = sensor.take, lambda: time.sleep(0.01)  # the reader sleeps
        burst(root, 300)
        (root / "unseen").mkdir()
        sensor.take = take
        seen = until(watcher, lambda seen: any("again" in one.message for one in gaps(seen)))
    assert {GapKind.OVERFLOW} == gap_kinds(seen)
    wanted = root / "unseen" / "file"
    wanted.write_bytes(b"x")
    assert os.fsencode(wanted) in {one.path for one in gathered(watcher, [wanted])}


@pytest.mark.xdist_group("sysctl")
def test_too_few_watches_are_a_gap_for_every_directory(root, begun):
    for number in range(300):
        (root / f"{number:03}").mkdir()
    with kernel_number("fs.inotify.max_user_watches", 100):
        watcher = begun(InotifySensor())
        seen = until(watcher, gaps)
        paths = [root / f"{number:03}" / "file" for number in range(300)]
        for path in paths:
            path.write_bytes(b"x")
        watched = [path for path in paths if not covers(seen, path)]
        seen += gathered(watcher, watched)
    assert {GapKind.LIMIT} == gap_kinds(seen)
    assert [] == [path for path in paths if not covers(seen, path)]
    assert len(gaps(seen)) < 30
    assert all("max_user_watches" in one.message for one in gaps(seen))


@pytest.mark.xdist_group("sysctl")
def test_limit_that_was_raised_ends_the_gap(root, begun, monkeypatch):
    monkeypatch.setattr("dataguard.watchers.inotify._RETRY_S", 0.1)
    for number in range(30):
        (root / f"{number:03}").mkdir()
    with kernel_number("fs.inotify.max_user_watches", 10):
        watcher = begun(InotifySensor())
        until(watcher, gaps)
    paths = {root / f"{number:03}" / "file" for number in range(30)}

    def unseen(seen):
        return paths - {Path(os.fsdecode(one.path)) for one in seen}

    def all_seen(seen):  # a write before its directory is watched again is the gap's
        for path in unseen(seen):
            path.write_bytes(b"x")
        return not unseen(seen)

    assert set() == unseen(until(watcher, all_seen))


@pytest.mark.parametrize("source", SENSORS)
def test_reader_without_its_descriptor_dies_with_a_gap(source, begun):
    sensor = SENSORS[source]()
    watcher = begun(sensor)
    os.close(sensor.descriptor)
    sensor._group = sensor._instance = -1  # another descriptor may get the number
    seen = until(watcher, lambda seen: any("again" in one.message for one in gaps(seen)))
    assert {GapKind.READER_DIED} == gap_kinds(seen)


@pytest.mark.parametrize("source", SENSORS)
def test_reader_that_reads_and_hears_nothing_is_found_by_its_canary(source, begun):
    sensor = SENSORS[source]()
    watcher = begun(sensor)
    deaf = EMPTY[source]()
    os.dup2(deaf, sensor.descriptor, inheritable=False)
    os.close(deaf)
    seen = until(watcher, lambda seen: GapKind.READER_DIED in gap_kinds(seen))
    # fanotify's own list of marks tells it as well: whichever is first
    assert GapKind.READER_DIED in gap_kinds(seen)


def test_reader_that_hangs_is_a_gap(begun):
    sensor = FanotifySensor()
    watcher = begun(sensor)
    released = threading.Event()
    take, sensor.take = sensor.take, released.wait
    try:
        seen = until(watcher, lambda seen: GapKind.READER_DIED in gap_kinds(seen))
    finally:
        sensor.take = take
        released.set()
    assert {GapKind.READER_DIED} == gap_kinds(seen)


def test_gap_that_lasts_is_told_again(root, begun, monkeypatch):
    monkeypatch.setattr("dataguard.watchers.watcher._REPEAT_S", 1.0)
    watcher = begun(FanotifySensor())
    root.rmdir()
    seen = until(watcher, lambda seen: len(gaps(seen)) > 2)
    assert {GapKind.REPLACED} == gap_kinds(seen)
    assert len({one.time for one in seen}) == len(seen)


def test_directory_that_may_not_be_listed_is_a_gap(root):
    (root / "closed" / "below").mkdir(parents=True)
    (root / "closed").chmod(0)
    pid = os.fork()
    if pid == 0:
        _exit_with(lambda: _unreadable_as_user(os.fsencode(root)))
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _unreadable_as_user(root):
    os.chdir(os.fsdecode(root))  # the directories above are closed to others
    os.setresuid(65534, 65534, 65534)
    watcher = chosen("inotify", clock=clock)
    watcher.start([b"."])
    seen = until(watcher, gaps)
    watcher.close()
    assert {(b"./closed", GapKind.UNREADABLE)} == {(one.path, one.kind) for one in seen}


def _exit_with(check):
    try:
        check()
        os._exit(0)
    finally:  # a child must never go on with the tests
        os._exit(1)


def test_reader_that_never_comes_gets_a_gap_in_place_of_a_full_memory():
    outlet = Outlet(clock, Queue(most=100))
    for number in range(150):
        outlet.event((b"/gold", b"/gold/%d" % number), ChangeKind.MODIFIED)
    seen = outlet.take(0)
    assert 101 == len(seen)
    assert [GapKind.OVERFLOW] == [one.kind for one in gaps(seen)]
    outlet.event((b"/gold", b"/gold/later"), ChangeKind.MODIFIED)
    assert 1 == len(outlet.take(0))


def test_events_alike_are_merged_only_while_they_wait():
    outlet = Outlet(clock)
    kind = ChangeKind.MODIFIED
    outlet.event((b"/gold", b"/gold/a"), kind)
    outlet.event((b"/gold", b"/gold/a"), kind)
    assert 1 == len(outlet.take(0))
    outlet.event((b"/gold", b"/gold/a"), kind)
    assert 1 == len(outlet.take(0))


def test_what_a_killed_watcher_left_is_taken_away_and_of_a_live_one_nothing(tmp_path):
    live, killed = Canary(str(tmp_path)), Canary(str(tmp_path))
    os.close(killed._lock)  # as the kernel does when a process ends
    later = Canary(str(tmp_path))
    try:
        assert os.path.exists(live.directory)
        assert not os.path.exists(killed.directory)
    finally:
        live.close()
        later.close()
    assert [] == os.listdir(tmp_path)


def test_busy_reader_is_not_lost_and_an_idle_one_that_saw_nothing_is():
    canary = Canary()
    try:
        canary.sing()
        now = time.monotonic()
        assert not canary.is_lost(seen=now, pulse=now, drained=now)
        assert not canary.is_lost(seen=0.0, pulse=now, drained=now)
        assert canary.is_lost(seen=0.0, pulse=now, drained=now + 2)
    finally:
        canary.close()
    assert not os.path.exists(canary.directory)
