from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dataguard.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    StoreUnreachableError,
    UsageError,
)
from dataguard.model.objects import ObjectPlace, Pin, Versioning
from dataguard.stores import s3credentials
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectsigning import EMPTY_SHA256, Keys, Signer, encoded_path, encoded_query
from dataguard.stores.objectwire import Wire
from dataguard.stores.s3access import Access, Peer, access_to
from support.countingproxy import Lose

KEYS = [b"a", b"a b+c%20d", b"d//e", b"folder/", b"q?x[1]#&=", "é".encode(), b"a\x01b", b"x/./y"]


@pytest.mark.parametrize("key", KEYS)
def test_signatures_are_those_of_botocore(key):
    path = f"/bucket/{encoded_path(key)}"
    query = encoded_query([("versionId", "v/+ 1"), ("attributes", "")])
    request = AWSRequest("GET", f"http://127.0.0.1:1{path}?{query}")
    request.headers["X-Amz-Content-SHA256"] = EMPTY_SHA256
    S3SigV4Auth(Credentials("key", "secret", "token"), "s3", "eu-west-1").add_auth(request)

    signed = Signer("eu-west-1").headers(
        ("GET", path, query),
        {"host": "127.0.0.1:1"},
        body_sha256=EMPTY_SHA256,
        keys=Keys("key", "secret", "token"),
        moment=request.headers["X-Amz-Date"],
    )

    theirs = request.headers["Authorization"].rpartition("Signature=")[2]
    assert theirs == signed["authorization"].rpartition("Signature=")[2]


def pins(client, prefix=b""):
    rows = [row for page in client.list_versions(prefix) for row in page.to_pylist()]
    return {
        row["key"]: Pin(row["key"], row["version_id"], row["etag"], row["size"])
        for row in rows
        if row["is_latest"] and not row["is_delete_marker"]
    }


@pytest.fixture
def client(objectserver, bucket):
    with objectserver.acting(objectserver.admin):
        made = ObjectClient(Access(bucket, objectserver.endpoint))
        yield made
        made.close()


def test_what_was_written_is_read_by_its_pin_after_it_was_overwritten(client):
    first = client.put(b"a", b"one")
    pin = pins(client)[b"a"]
    client.put(b"a", b"another")

    assert b"one" == b"".join(client.read(pin))
    assert (first.version_id, first.etag) == (pin.version_id, pin.etag)
    assert Versioning.ENABLED is client.versioning()


def test_without_a_version_another_content_is_an_error(client):
    written = client.put(b"a", b"one")
    client.put(b"a", b"two")

    with pytest.raises(ConflictError):
        list(client.read(Pin(b"a", None, written.etag, 3)))


def test_a_size_that_is_not_the_pins_is_an_error(client):
    written = client.put(b"a", b"one")

    for size in (2, 4):
        with pytest.raises(ConflictError):
            list(client.read(Pin(b"a", written.version_id, written.etag, size)))


def test_ranges_are_what_was_asked_for(client):
    data = bytes(range(256)) * 4
    written = client.put(b"a", data)
    pin = Pin(b"a", written.version_id, written.etag, len(data))

    for start, length in ((0, 10), (5, 100), (1000, 100), (0, None)):
        expected = data[start:] if length is None else data[start : start + length]
        assert expected == b"".join(client.read(pin, start, length))


def test_nothing_is_written_over_with_only_new(client):
    client.put(b"a", b"one", only_new=True)

    with pytest.raises(ConflictError):
        client.put(b"a", b"two", only_new=True)
    assert b"one" == b"".join(client.read(pins(client)[b"a"]))


def test_new_object_whose_answer_is_lost_is_no_conflict_with_itself(objectserver, bucket, proxies):
    proxy = proxies(objectserver.endpoint)
    with objectserver.acting():
        client = ObjectClient(Access(bucket, proxy.endpoint), pause=lambda _: None)
        proxy.spoil(Lose(), method="PUT", key=b"a")
        written = client.put(b"a", b"one", only_new=True)
        found = pins(client)[b"a"]
        assert (found.etag, b"one") == (written.etag, b"".join(client.read(found)))
        with pytest.raises(ConflictError):  # the same content, and somebody else's
            client.put(b"a", b"one", only_new=True)
        client.close()


def test_large_objects_are_read_whole(client):
    data = b"".join(bytes([number]) * (1 << 20) for number in range(20))
    client.put(b"large", data)

    assert data == b"".join(client.read(pins(client)[b"large"]))


def test_what_is_not_there_is_not_found(client, objectserver):
    with pytest.raises(NotFoundError):
        client.head(b"nothing")
    with pytest.raises(NotFoundError):
        list(ObjectClient(Access("no-such-bucket", objectserver.endpoint)).list_current(b""))


def test_who_may_not_is_denied(bucket, objectserver):
    stranger = ObjectClient(Access(bucket, objectserver.endpoint, anonymous=True))
    with pytest.raises(DeniedError):
        list(stranger.list_current(b""))
    with objectserver.acting(objectserver.reader), pytest.raises(DeniedError):
        ObjectClient(Access(bucket, objectserver.endpoint)).put(b"a", b"")


def test_listings_go_on_page_after_page(client):
    for number in range(1005):
        client.put(b"k/%04d" % number, b"")

    for listing in (client.list_current, client.list_versions):
        keys = [key for page in listing(b"k/") for key in page.column("key").to_pylist()]
        assert [b"k/%04d" % number for number in range(1005)] == keys


def test_a_forked_process_opens_connections_of_its_own(client):
    client.put(b"a", b"one")
    pin = pins(client)[b"a"]
    child = os.fork()
    if not child:
        os._exit(0 if b"one" == b"".join(client.read(pin)) else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert b"one" == b"".join(client.read(pin))


class Answers(ThreadingHTTPServer):
    """A server that gives the answers it was given, each once, and counts the requests."""

    daemon_threads = True

    def __init__(self):
        self.answers, self.asked = [], []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers, body = self.server.answers.pop(0)
        if status is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if int(headers.get("Content-Length") or len(body)) != len(body):
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815  the name that the base class looks for

    def log_message(self, *_args):
        pass


@pytest.fixture
def answers():
    server = Answers()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def odd(answers, waits):
    made = ObjectClient(Access("b", answers.endpoint, anonymous=True), pause=waits.append)
    yield made
    made.close()


PIN = Pin(b"k", None, "e", 4)
GOOD = (200, {"ETag": '"e"'}, b"data")


def test_what_fails_for_a_moment_is_asked_again(answers, odd, waits):
    answers.answers = [(503, {}, b"<Code>SlowDown</Code>"), (None, {}, b""), GOOD]

    assert b"data" == b"".join(odd.read(PIN))
    assert 2 == len(waits)
    assert waits[0] < 1


def test_a_server_that_never_answers_is_unreachable(answers, odd, waits):
    answers.answers = [(500, {}, b"<Message>broken</Message>")] * 6

    with pytest.raises(StoreUnreachableError, match="broken"):
        list(odd.read(PIN))
    assert 5 == len(waits)


def test_a_body_that_breaks_off_is_gone_on_with(answers, odd):
    answers.answers = [
        (200, {"Content-Length": "4", "ETag": '"e"'}, b"da"),
        (206, {"ETag": '"e"'}, b"data"),
    ]
    # Of what came before a break nothing is kept, unless it was whole pieces.
    assert b"data" == b"".join(odd.read(PIN))


def test_bytes_of_another_etag_are_never_given(answers, odd):
    answers.answers = [(200, {"ETag": '"other"'}, b"else")]

    with pytest.raises(ConflictError, match="etag"):
        list(odd.read(PIN))


def test_a_listing_that_says_more_and_not_where_is_an_error(answers, odd):
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    answers.answers = [(200, {}, body)]

    with pytest.raises(StoreUnreachableError, match="cannot be completed"):
        list(odd.list_current(b""))


def test_a_page_that_is_no_listing_is_an_error(answers, odd):
    answers.answers = [(200, {}, b"<html>please log in</html>")]

    with pytest.raises(StoreUnreachableError, match="no listing"):
        list(odd.list_current(b""))


PAGE = (
    b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%b"
    b"</NextContinuationToken><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>"
)


def test_a_listing_whose_pages_come_again_is_an_error(answers, odd):
    answers.answers = [(200, {}, PAGE % token) for token in (b"x", b"a", b"b", b"c") * 9]

    with pytest.raises(StoreUnreachableError, match="cannot be completed"):
        list(odd.list_current(b""))
    assert len(answers.asked) < 20


@pytest.mark.parametrize("cut", [30, -1, -21])
def test_a_page_whose_end_is_missing_is_an_error(answers, odd, cut):
    """A proxy that sends no length: only the document tells that its rest is missing."""
    whole = (PAGE % b"").replace(b"true", b"false")
    answers.answers = [(200, {"Content-Length": str(len(whole[:cut]))}, whole[:cut])]

    with pytest.raises(StoreUnreachableError, match=r"cut|no listing"):
        list(odd.list_current(b""))


def test_a_page_that_breaks_off_is_asked_for_again(answers, odd):
    whole = PAGE % b"x"
    last = PAGE.replace(b"true", b"false").replace(b"<Key>k", b"<Key>l") % b""
    broken = (200, {"Content-Length": "999"}, whole)
    answers.answers = [broken, broken, (200, {}, whole), broken, (200, {}, last)]

    assert [b"k", b"l"] == [
        row["key"] for page in odd.list_current(b"") for row in page.to_pylist()
    ]
    assert [] == answers.answers


@pytest.mark.parametrize(
    "odd_one",
    [
        b"<!DOCTYPE x [<!ENTITY e 'k'>]>" + PAGE % b"",
        (PAGE % b"").replace(b"<Key>k", b"<Key>&#x110000;"),
        (PAGE % b"").replace(b"<Key>k", b"<Key>&#99999999999999999999;"),
        (PAGE % b"").replace(b"<Size>1", b"<Size>99999999999999999999"),
        (PAGE % b"").replace(b"<Size>1", b"<Size>-1"),
        (PAGE % b"").replace(b"<Size>1", b"<Size>one"),
        (PAGE % b"").replace(b"</Key>", b"</Key><DeleteMarker"),
    ],
    ids=["entities", "no character", "a number", "huge", "negative", "a word", "no XML"],
)
def test_a_page_that_makes_no_sense_is_an_error(answers, odd, odd_one):
    answers.answers = [(200, {}, odd_one.replace(b"true", b"false"))]

    with pytest.raises(StoreUnreachableError):
        list(odd.list_current(b""))


CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": None, "ETag": '"e"'}


@pytest.mark.parametrize("body", [b"5\r\ndata!\r\n0\r\n\r\n", b"4\r\ndata\r\n1\r\n!\r\n0\r\n\r\n"])
def test_more_bytes_than_are_pinned_are_an_error(answers, odd, body):
    answers.answers = [(200, CHUNKED, body)]

    with pytest.raises(ConflictError, match="more than 4 bytes"):
        list(odd.read(PIN))


@pytest.mark.parametrize("size", [b"-1", b"0x4", b"", b"fffffffffffffffffff"])
def test_a_chunk_without_a_size_is_no_body(answers, odd, size):
    answers.answers = [(200, CHUNKED, size + b"\r\ndata\r\n0\r\n\r\n")] * 4

    with pytest.raises(StoreUnreachableError):
        list(odd.read(PIN))


def test_another_range_than_was_asked_for_is_an_error(answers, odd):
    answers.answers = [(206, {"ETag": '"e"', "Content-Range": "bytes 0-1/4"}, b"da")]

    with pytest.raises(ConflictError, match="bytes 0-1/4"):
        list(odd.read(PIN, 2))


def test_a_reader_that_stops_early_leaves_nothing_open(answers, odd):
    answers.answers = [(200, {"ETag": '"e"'}, bytes(4 << 20))]
    reply = []
    pieces = odd.read(Pin(b"k", None, "e", 4 << 20))
    ask = odd.ask
    odd.ask = lambda request: reply.append(ask(request)) or reply[0]

    next(pieces)
    pieces.close()

    assert reply[0]._connection is None


ELSEWHERE = (301, {"x-amz-bucket-region": "eu-north-1"}, b"")


class Taken(list):
    """Connections of which another thread takes the last one after it was seen."""

    def __bool__(self):
        return True


def test_connections_that_another_thread_takes_meanwhile_are_not_closed(answers):
    wire = Wire(Peer.of(answers.endpoint))
    wire._idle = Taken()

    wire.close()


def test_requests_under_way_go_to_the_region_that_the_server_names(answers, odd):
    answers.answers = [ELSEWHERE, GOOD, GOOD]
    requests = [odd.reading(PIN, 0, 4)] * 2

    replies = odd.ask_many(requests, 1)
    assert [b"data", b"data"] == [reply.whole() for reply in replies]
    assert "eu-north-1" == odd.region


def test_the_region_that_the_server_names_is_known_though_another_was_asked_for(answers):
    answers.answers = [(301, {"x-amz-bucket-region": "us-east-1"}, b""), GOOD]
    client = ObjectClient(Access("b", answers.endpoint, region="eu-west-1", anonymous=True))

    assert b"data" == b"".join(client.read(PIN))
    client.close()
    assert "us-east-1" == client.region


@pytest.mark.parametrize("region", ["evil.example/", "", "EU", "a" * 60])
def test_what_is_no_region_is_not_followed(answers, odd, region):
    answers.answers = [(301, {"x-amz-bucket-region": region}, b"")]

    with pytest.raises(StoreUnreachableError):
        list(odd.read(PIN))
    assert "" == odd.region


def test_clocks_that_differ_are_no_matter_of_policies(answers, odd):
    answers.answers = [(403, {}, b"<Code>RequestTimeTooSkewed</Code><Message>too far</Message>")]

    with pytest.raises(DeniedError) as caught:
        list(odd.read(PIN))
    assert "clock" in caught.value.hint


def test_who_asks_for_the_payer_says_so(answers):
    answers.answers = [GOOD]
    client = ObjectClient(Access("b", answers.endpoint, anonymous=True, requester_pays=True))

    list(client.read(PIN))
    client.close()

    headers = {name.lower(): value for name, value in answers.asked[0][1].items()}
    assert ("requester", '"e"') == (headers["x-amz-request-payer"], headers["if-match"])


def test_access_is_what_was_asked_for_then_the_environment_then_what_was_recorded(monkeypatch):
    asked, recorded = ObjectPlace(endpoint="http://asked:1"), ObjectPlace("http://kept:3", "r", "p")
    environment = {"AWS_ENDPOINT_URL_S3": "http://said:2/", "AWS_PROFILE": "mine"}
    monkeypatch.setattr("fsspec.config.conf", {"s3": {"endpoint_url": "http://conf:4"}})

    assert Access("b", "http://asked:1", "r", "mine") == access_to(
        "b", asked, recorded, environment
    )
    assert "http://said:2" == access_to("b", ObjectPlace(), recorded, environment).endpoint
    assert "http://kept:3" == access_to("b", ObjectPlace(), recorded, {}).endpoint
    assert "http://conf:4" == access_to("b", ObjectPlace(), None, {}).endpoint


def test_keys_of_fsspecs_configuration_come_first_unless_a_profile_is_named(monkeypatch):
    monkeypatch.setattr("fsspec.config.conf", {"s3": {"key": "configured", "secret": "s"}})
    for name, value in (("ACCESS_KEY_ID", "mine"), ("SECRET_ACCESS_KEY", "s"), ("PROFILE", "p")):
        monkeypatch.setenv(f"AWS_{name}", value)

    found = [s3credentials.keys_for(Access("b", profile=profile))() for profile in ("", "p")]
    assert ["configured", "mine"] == [keys.key for keys in found]


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://u:p@x", "http://x/path", "http://x:y"]
)
def test_what_is_no_endpoint_is_refused(url):
    with pytest.raises(UsageError, match="endpoint"):
        Peer.of(url)


def test_at_aws_a_bucket_is_a_host_unless_its_name_has_dots():
    assert "gold.s3.eu-west-1.amazonaws.com" == Access("gold", region="eu-west-1").peer.name
    assert "s3.eu-west-1.amazonaws.com" == Access("go.ld", region="eu-west-1").peer.name


def test_no_secret_can_be_written_down():
    import pickle

    keys = Keys("key", "secret")
    assert "secret" not in repr(keys)
    with pytest.raises(TypeError):
        pickle.dumps(keys)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(s3credentials, "find_spec", lambda _name: None)

    with pytest.raises(UsageError) as caught:
        s3credentials.check_extra()
    assert "pip install 'dataguard[s3]'" == caught.value.hint
