"""All sources by the contract of watchers."""

from __future__ import annotations

import pytest

from contracts.watching import WatchContract, clock, covers, gathered
from dataguard.model.watch import Source
from dataguard.watchers import fanotify
from dataguard.watchers.choose import watcher as chosen
from dataguard.watchers.fanotify import FanotifySensor
from dataguard.watchers.inotify import InotifySensor
from dataguard.watchers.polling import PollingSensor
from dataguard.watchers.watcher import SensorWatcher


class SensorContract(WatchContract):
    @pytest.fixture
    def watcher(self, sensor):
        return SensorWatcher(sensor, clock)


class TestFanotify(SensorContract):
    @pytest.fixture
    def sensor(self):
        return FanotifySensor()

    def test_events_wait_at_the_source_while_the_reader_has_enough(self, started, root):
        started.crowd(crowded=True)
        (root / "new").write_bytes(b"new")
        assert () == started.read(1.0)
        started.crowd(crowded=False)
        assert covers(gathered(started, [root / "new"]), root / "new")

    def test_events_that_find_no_room_at_the_source_come_all_the_same(
        self, started, root, monkeypatch
    ):
        monkeypatch.setattr(fanotify, "_MOST_ADMITTED", 1)
        started.crowd(crowded=True)
        (root / "new").write_bytes(b"new")
        assert covers(gathered(started, [root / "new"]), root / "new")


class TestInotify(SensorContract):
    @pytest.fixture
    def sensor(self):
        return InotifySensor()


class TestPolling(SensorContract):
    @pytest.fixture
    def sensor(self):
        return PollingSensor(0.2)


class TestChosen(WatchContract):
    @pytest.fixture
    def watcher(self):
        return chosen(clock=clock)

    @pytest.fixture
    def sensor(self, started):
        return started._watchers[Source.FANOTIFY]._sensor
