"""All sources by the contract of watchers."""

from __future__ import annotations

import pytest

from contracts.watching import WatchContract, clock
from dataguard.model.watch import Source
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
