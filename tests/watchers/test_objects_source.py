"""The source of buckets: events reach the roots they are of; what cannot be read is a gap."""

from __future__ import annotations

import http.client
import json
import queue
import socket

import pytest

from contracts.watching import clock, gathered, until
from dataguard.core.objectevents import ObjectEvent
from dataguard.errors import ConflictError, StoreUnreachableError, UsageError
from dataguard.model.watch import Gap, GapKind, Source, WatchEvent
from dataguard.watchers.choose import watcher
from dataguard.watchers.eventhub import EventHub, event_sources
from dataguard.watchers.eventreceiver import EventReceiver

ROOT = b"s3://gold/faces"


class Told:
    """A source that tells what a test says."""

    name = "the test"

    def __init__(self):
        self.events: queue.Queue = queue.Queue()
        self.opened = self.closed = 0
        self.failure = None

    def open(self):
        self.opened += 1

    def take(self):
        if self.failure is not None:
            raise self.failure
        try:
            return (self.events.get(timeout=0.05),)
        except queue.Empty:
            return ()

    def close(self):
        self.closed += 1


@pytest.fixture
def source():
    return Told()


@pytest.fixture
def made(source):
    """Watchers that share one hub, as those of a command do."""
    hub, opened = EventHub([source]), []

    def make():
        opened.append(watcher(clock=clock, hub=hub))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
        one.close()


def test_each_root_hears_of_its_own_keys_whichever_watcher_has_it(made, source):
    first, second = made(), made()
    (coverage,) = first.start((ROOT,))
    second.start((b"s3://gold/other", b"s3://else"))
    assert (Source.OBJECTS, "s3") == (coverage.source, coverage.filesystem)
    source.events.put(ObjectEvent("gold", (b"faces/a b", b"faces/a+b"), "alice", "10.0.0.7", "v"))
    source.events.put(ObjectEvent("gold", (b"other/x",)))
    source.events.put(ObjectEvent("else", (b"y",)))
    seen = gathered(first, [ROOT + b"/a b", ROOT + b"/a+b"])
    assert [("alice", b"a b"), (None, b"a+b")] == [
        (one.writer and one.writer.principal, one.path.rpartition(b"/")[2]) for one in seen
    ]
    seen = gathered(second, [b"s3://gold/other/x", b"s3://else/y"])
    assert {b"s3://gold/other", b"s3://else"} == {one.root for one in seen}
    assert 1 == source.opened


def test_the_last_watcher_that_goes_closes_the_source(made, source):
    first, second = made(), made()
    first.start((ROOT,))
    second.start((b"s3://else",))
    first.close()
    assert 0 == source.closed
    second.close()
    assert 1 == source.closed


def test_a_source_that_cannot_be_read_is_a_gap_of_every_root(made, source):
    one = made()
    one.start((ROOT, b"s3://else"))
    source.failure = StoreUnreachableError("the queue is gone")
    seen = until(one, lambda seen: len(seen) >= 2)
    assert {(ROOT, GapKind.UNREADABLE), (b"s3://else", GapKind.UNREADABLE)} == {
        (gap.root, gap.kind) for gap in seen if isinstance(gap, Gap)
    }
    source.failure = None
    source.events.put(ObjectEvent("else", (b"y",)))
    assert any(isinstance(event, WatchEvent) for event in gathered(one, [b"s3://else/y"]))


def test_it_is_started_once(made):
    one = made()
    one.start((ROOT,))
    with pytest.raises(ConflictError):
        one.start((ROOT,))


def test_buckets_and_directories_have_one_watcher(tmp_path):
    one = watcher("polling", clock=clock)
    try:
        covered = one.start((ROOT, bytes(tmp_path)))
        assert [Source.OBJECTS, Source.POLLING] == [found.source for found in covered]
    finally:
        one.close()


@pytest.mark.parametrize(
    "written",
    [
        *("", "sqs:", "sqs:queue", "sqs:ftp://h/q", "sqs:https://u:p@h/q", "kafka:x"),
        *("listen:", "listen:9400", "listen:127.0.0.1:x", "listen:0.0.0.0:9400"),
        *("listen:localhost.example.org:9400", "listen:127.example.org:9400", "listen:[::12]:9400"),
    ],
)
def test_what_is_no_source_of_events_is_refused(written):
    with pytest.raises(UsageError):
        event_sources([written], {})


def post(port, path="/", body=b"{}", *, host="127.0.0.1", **headers):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_receiver_takes_events_from_whoever_knows_the_token():
    receiver = EventReceiver("127.0.0.1:0", "secret")
    receiver.open()
    try:
        record = {"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}
        body = json.dumps({"Records": [record]}).encode()
        assert 403 == post(receiver.port, body=body)
        assert 403 == post(receiver.port, body=body, authorization="Bearer other")
        assert 200 == post(receiver.port, body=body, authorization="Bearer secret")
        assert 200 == post(receiver.port, "/secret", body)
        assert 400 == post(receiver.port, "/secret", b"no json")
        assert 413 == post(receiver.port, "/secret", b" ", content_length=str(1 << 30))
        found = [receiver.take(), receiver.take(), receiver.take()]
        assert [(ObjectEvent("b", (b"k",)),)] * 2 + [()] == found
        with pytest.raises(ConflictError):
            EventReceiver(f"127.0.0.1:{receiver.port}", "secret").open()
    finally:
        receiver.close()
        receiver.close()


def test_a_receiver_listens_on_the_loopback_of_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as err:
        pytest.skip(f"no IPv6 here: {err.strerror}")
    receiver = EventReceiver("[::1]:0", "")
    receiver.open()
    try:
        assert 400 == post(receiver.port, body=b"no json", host="::1")
    finally:
        receiver.close()
