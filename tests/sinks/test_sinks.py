"""Every sink against its receiver: files, sockets, a web server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import socket
import struct
import threading
import urllib.error
import urllib.request
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest

from contracts.sinks import SinkContract
from dataguard.errors import StoreUnreachableError
from dataguard.sinks.choose import make
from dataguard.sinks.servicemanager import ServiceManager
from support.alerts import alert, settings, status


class TestJsonLines(SinkContract):
    @pytest.fixture
    def sink(self, tmp_path):
        return make(settings("jsonl", tmp_path / "alerts.jsonl"))

    @pytest.fixture
    def dead(self, tmp_path):
        return make(settings("jsonl", tmp_path / "missing" / "alerts.jsonl"))

    def received(self, sink):
        try:
            with open(sink._file, encoding="utf-8") as file:
                return [json.loads(line)["id"] for line in file]
        except FileNotFoundError:
            return []

    def test_file_is_rotated_by_size_and_the_oldest_goes(self, tmp_path):
        sink = make(settings("jsonl", tmp_path / "a", max_bytes=200, keep=2))
        for number in range(20):
            sink.send([alert(number)])
        assert ["a", "a.1", "a.2"] == sorted(os.listdir(tmp_path))
        assert all(os.stat(tmp_path / name).st_size <= 200 for name in os.listdir(tmp_path))
        assert [alert(19).id] == self.received(sink)[-1:]

    def test_link_in_its_place_is_not_followed(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreUnreachableError):
            make(settings("jsonl", tmp_path / "a")).send([alert(1)])

    def test_pipe_in_its_place_is_refused_and_nobody_waits_for_its_reader(self, tmp_path):
        os.mkfifo(tmp_path / "a")
        with pytest.raises(StoreUnreachableError):
            make(settings("jsonl", tmp_path / "a")).send([alert(1)])
        reader = os.open(tmp_path / "a", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with pytest.raises(StoreUnreachableError):
                make(settings("jsonl", tmp_path / "a")).send([alert(1)])
        finally:
            os.close(reader)


class DatagramContract(SinkContract):
    kind = ""

    @pytest.fixture
    def receiver(self, tmp_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
            opened.bind(str(tmp_path / "socket"))
            opened.setblocking(False)
            self._receiver = opened
            yield opened

    @pytest.fixture
    def sink(self, receiver):
        with closing(make(settings(self.kind, receiver.getsockname()))) as sink:
            yield sink

    @pytest.fixture
    def dead(self, tmp_path):
        return make(settings(self.kind, tmp_path / "nobody"))

    def datagrams(self):
        found = []
        while True:
            try:
                found.append(self._receiver.recv(1 << 20))
            except BlockingIOError:
                return found


class TestSyslog(DatagramContract):
    kind = "syslog"

    def received(self, _sink):
        # The text has the count only in the data: order is told by severity and path elsewhere.
        self._count = len(found := self.datagrams())
        assert all(
            re.match(rb"<27>1 2030-01-02T03:04:05\S+ \S+ dataguard \d+ DG301 - ", d) for d in found
        )
        return self.sent[: self._count]

    @pytest.fixture(autouse=True)
    def count(self, sink, monkeypatch):
        self.sent = []
        send = sink.send
        monkeypatch.setattr(sink, "send", lambda a: (send(a), self.sent.extend(x.id for x in a)))

    def test_evil_path_is_one_line_of_text(self, sink):
        sink.send([alert(1, path=b"a\nb\xff")])
        [datagram] = self.datagrams()
        assert rb"faces@3 a\nb\xff: the content was changed" in datagram

    def test_long_path_is_cut_between_characters(self, sink):
        for more in ("", "x"):
            sink.send([alert(1, path=(more + "é" * 2000).encode())])
            [datagram] = self.datagrams()
            assert datagram.decode().endswith("é")

    def test_udp_is_sent_to_a_port(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(10)
            target = f"127.0.0.1:{receiver.getsockname()[1]}"
            with closing(make(settings("syslog", target))) as sink:
                sink.send([alert(1)])
            assert receiver.recv(4096).startswith(b"<27>1 ")


class TestJournald(DatagramContract):
    kind = "journald"

    def received(self, _sink):
        return [fields_of(one)["DATAGUARD_ALERT"].decode() for one in self.datagrams()]

    def test_fields_hold_bytes_as_they_are(self, sink):
        sink.send([alert(1, path=b"a\nb\xff")])
        fields = fields_of(self.datagrams()[0])
        assert b"a\nb\xff" == fields["DATAGUARD_PATH"]
        assert (b"3", b"dataguard") == (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"])


def fields_of(datagram):
    found = {}
    while datagram:
        name, _, rest = datagram.partition(b"\n")
        (size,) = struct.unpack_from("<Q", rest)
        found[name.decode()], datagram = rest[8 : 8 + size], rest[9 + size :]
    return found


class Hook:
    """A web server on loopback that remembers what was posted."""

    def __init__(self):
        self.requests, self.answer = [], 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((dict(self.headers), body))
                self.send_response(hook.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=t0ken"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hook():
    with closing(Hook()) as hook:
        yield hook


class TestWebhook(SinkContract):
    @pytest.fixture
    def sink(self, hook):
        self._hook = hook
        return make(settings("webhook", hook.url))

    @pytest.fixture
    def dead(self, hook):
        hook.answer = 503
        return make(settings("webhook", hook.url))

    def received(self, _sink):
        return [json.loads(body)["id"] for _, body in self._hook.requests]

    def test_event_is_a_cloud_event_signed_with_the_secret(self, hook, tmp_path):
        (tmp_path / "secret").write_bytes(b"s3cret\n")
        sink = make(settings("webhook", hook.url, secret_file=str(tmp_path / "secret")))
        sink.send([alert(1)])
        headers, body = hook.requests[0]
        event = json.loads(body)
        assert {"specversion", "id", "source", "type", "time", "data"} <= {*event}
        assert ("1.0", "org.dataguard.alert.dg301") == (event["specversion"], event["type"])
        assert headers["Content-Type"].startswith("application/cloudevents+json")
        expected = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert expected == headers["X-Dataguard-Signature-256"]

    def test_secret_can_be_in_the_environment(self, hook, monkeypatch):
        sink = make(settings("webhook", hook.url, secret_variable="HOOK_SECRET"))
        with pytest.raises(StoreUnreachableError, match="HOOK_SECRET is not set"):
            sink.send([alert(1)])
        monkeypatch.setenv("HOOK_SECRET", "x")
        sink.send([alert(1)])
        assert "X-Dataguard-Signature-256" in hook.requests[0][0]

    def test_errors_name_neither_token_nor_secret(self, hook):
        hook.answer = 500
        with pytest.raises(StoreUnreachableError) as caught:
            make(settings("webhook", hook.url)).send([alert(1)])
        assert "t0ken" not in caught.value.message

    def test_empty_secret_is_refused(self, hook, tmp_path):
        (tmp_path / "secret").write_bytes(b"\n")
        sink = make(settings("webhook", hook.url, secret_file=str(tmp_path / "secret")))
        with pytest.raises(StoreUnreachableError, match="is empty"):
            sink.send([alert(1)])
        assert [] == hook.requests

    def test_answer_without_an_end_is_not_read_to_it(self):
        with endless_answers() as (url, asked):
            make(settings("webhook", url)).send([alert(1), alert(2)])
        assert 2 == len(asked)

    def test_redirection_is_not_followed(self, hook):
        hook.answer = 302
        with pytest.raises(StoreUnreachableError, match="302"):
            make(settings("webhook", hook.url)).send([alert(1)])

    def test_server_that_never_answers_is_given_up(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(StoreUnreachableError):
                make(settings("webhook", url, timeout_s=0.2)).send([alert(1)])


@contextmanager
def endless_answers():
    """A web server whose answers are large without bound, until nobody reads them."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 60))
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(1 << 16))

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


EXPECTED = """\
dataguard_watch_watched_roots 2
dataguard_watch_gaps_total 3
dataguard_findings_open{dataset="fa\\"ces",code="DG301",severity="error"} 7
dataguard_audit_age_seconds{dataset="faces",version="3"} 60
dataguard_sink_up{sink="hook"} 0
dataguard_sink_waiting{sink="hook"} 2
dataguard_sink_dropped_total{sink="hook"} 1
"""


def test_metrics_file_is_replaced_as_a_whole(tmp_path):
    sink = make(settings("prometheus", tmp_path / "dataguard.prom"))
    sink.note(status(watched=9))
    sink.note(status())
    text = (tmp_path / "dataguard.prom").read_text()
    assert {*EXPECTED.splitlines()} <= {*text.splitlines()}
    assert ["dataguard.prom"] == os.listdir(tmp_path)
    names = re.findall(r"^(\w+)[{ ]", text, re.MULTILINE)
    typed = re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.MULTILINE)
    assert {*names} == {*typed}


def test_link_laid_where_metrics_are_written_first_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    trap = tmp_path / f"x.prom.{os.getpid()}.partial"
    trap.symlink_to(tmp_path / "precious")
    make(settings("prometheus", tmp_path / "x.prom")).note(status())
    assert "precious" == (tmp_path / "precious").read_text()
    assert "dataguard_watch_up 1" in (tmp_path / "x.prom").read_text()


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("[::1]", socket.AF_INET6)]
)
def test_metrics_are_served_on_loopback(host, family):
    try:
        with socket.socket(family) as probe:
            probe.bind((host.strip("[]"), 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip(f"no {host} here")
    with closing(make(settings("prometheus", f"{host}:{port}"))) as sink:
        sink.note(status())
        with urllib.request.urlopen(f"http://{host}:{port}/metrics") as answer:
            assert "dataguard_watch_up 1" in answer.read().decode()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{host}:{port}/")
        caught.value.close()


def test_metrics_that_cannot_be_written_are_an_error(tmp_path):
    with pytest.raises(StoreUnreachableError):
        make(settings("prometheus", tmp_path / "missing" / "x.prom")).note(status())


def test_service_manager_is_told_where_it_wants_to_know(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(10)
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000"}
        manager = ServiceManager(environ)
        manager.ready("watching")
        manager.alive("watching")
        manager.stopping()
        said = [receiver.recv(100) for _ in range(3)]
    assert [b"READY=1\nSTATUS=watching", b"WATCHDOG=1\nSTATUS=watching", b"STOPPING=1"] == said
    assert 2.0 == manager.interval_s
    assert ServiceManager({}).interval_s is None
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")
