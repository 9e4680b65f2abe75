"""Alerts on their way: outboxes that survive, sinks that are down, order, bounds."""

from __future__ import annotations

import os
import threading
from contextlib import closing

import pytest

from dataguard.errors import StoreUnreachableError
from dataguard.sinks.delivery import Delivery
from dataguard.sinks.outbox import Outbox
from support.alerts import alert, status
from support.startedcommands import wait_for


class Flaky:
    """A sink that is up or down, or hangs, as a test says."""

    name = "flaky"

    def __init__(self):
        self.up = True
        self.got, self.notes, self.tries = [], [], 0
        self.hold = threading.Event()
        self.hold.set()

    def send(self, alerts):
        self.tries += 1
        self.hold.wait(30)
        if not self.up:
            raise StoreUnreachableError("it is down")
        self.got += [one.id for one in alerts]

    def note(self, status):
        self.notes.append(status)

    def close(self):
        pass


@pytest.fixture
def sink():
    return Flaky()


def delivery(sink, tmp_path, limit=100):
    return Delivery(sink, Outbox(str(tmp_path / "box"), limit), limit=limit, first_pause_s=0.01)


def ids(*numbers):
    return [alert(number).id for number in numbers]


def test_alerts_are_delivered_in_order_and_nothing_stays(sink, tmp_path):
    with closing(delivery(sink, tmp_path)) as one:
        for number in range(20):
            one.send([alert(number)])
        wait_for(lambda: len(sink.got) == 20)
    assert ids(*range(20)) == sink.got
    assert [] == os.listdir(tmp_path / "box")


def test_sink_that_was_down_gets_everything_in_order_when_it_is_up(sink, tmp_path):
    sink.up = False
    with closing(delivery(sink, tmp_path)) as one:
        for number in range(3):
            one.send([alert(number)])
        wait_for(lambda: sink.tries > 2 and one.health.trouble == "it is down")
        assert 3 == one.health.waiting
        sink.up = True
        wait_for(lambda: len(sink.got) == 3 and not one.health.trouble)
    assert ids(0, 1, 2) == sink.got


def test_what_was_not_delivered_survives_the_watcher(sink, tmp_path):
    sink.up = False
    first = delivery(sink, tmp_path)
    first.send([alert(1), alert(2, path=b"\xff\n")])
    first.close(wait_s=0.1)
    other = Flaky()
    with closing(delivery(other, tmp_path)) as one:
        one.send([alert(3)])
        wait_for(lambda: len(other.got) == 3)
    assert ids(1, 2, 3) == other.got


def test_sink_that_hangs_holds_nobody_up(sink, tmp_path):
    sink.hold.clear()
    one = delivery(sink, tmp_path)
    for number in range(5):
        one.send([alert(number)])
    assert 5 == one.health.waiting
    one.close(wait_s=0.1)
    sink.hold.set()


def test_full_outbox_drops_the_oldest_and_counts_them(sink, tmp_path):
    sink.up = False
    with closing(delivery(sink, tmp_path, limit=3)) as one:
        for number in range(5):
            one.send([alert(number), alert(number + 10)])
        assert (3, 4) == (one.health.waiting, one.health.dropped)
        sink.up = True
        wait_for(lambda: len(sink.got) == 6)
    assert ids(2, 12, 3, 13, 4, 14) == sink.got
    assert 4 == Outbox(str(tmp_path / "box"), 3).dropped


def test_outbox_that_cannot_be_written_loses_nothing_while_it_runs(sink, tmp_path, monkeypatch):
    one = delivery(sink, tmp_path)

    def full(*_):
        raise StoreUnreachableError("no space left")

    monkeypatch.setattr(Outbox, "put", full)
    one.send([alert(1)])
    wait_for(lambda: sink.got == ids(1))
    one.close()


def test_damaged_delivery_is_dropped_and_counted(tmp_path):
    box = Outbox(str(tmp_path / "box"), 10)
    box.put([alert(1)])
    box.put([alert(2)])
    [name] = sorted(os.listdir(tmp_path / "box"))[:1]
    (tmp_path / "box" / name).write_text("{half")
    found = box.first()
    assert ids(2) == [one.id for one in found[1]]
    assert 1 == box.dropped


def test_file_of_somebody_else_in_the_outbox_is_left_alone(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    outbox = Outbox(str(tmp_path), 10)
    outbox.put([alert(1)])
    assert (1, "alert-1") == (len(outbox), outbox.first()[1][0].id)
    assert (tmp_path / "notes.json").exists()


def test_status_reaches_the_sink(sink, tmp_path):
    with closing(delivery(sink, tmp_path)) as one:
        one.note(status())
        wait_for(lambda: sink.notes)
