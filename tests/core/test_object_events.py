"""Events of object stores: every form in which they come, and every reading of a key."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.objectevents import ObjectEvent, events_in


def record(key, source="aws:s3"):
    return {
        "eventSource": source,
        "userIdentity": {"principalId": "AIDA"},
        "requestParameters": {"sourceIPAddress": "10.0.0.7"},
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "versionId": "v1"}},
    }


def one(message):
    (found,) = events_in(json.dumps(message))
    return found


@pytest.mark.parametrize(
    "wrap",
    [
        lambda r: {"Records": [r]},
        lambda r: {"EventName": "s3:ObjectCreated:Put", "Key": "b/k", "Records": [r]},
        lambda r: {"Type": "Notification", "Message": json.dumps({"Records": [r]})},
        lambda r: [r],
    ],
    ids=["s3", "minio", "sns", "list"],
)
def test_each_wrapping_gives_the_same_event(wrap):
    assert ObjectEvent("b", (b"k",), "AIDA", "10.0.0.7", "v1") == one(wrap(record("k")))


def test_an_event_of_eventbridge_quotes_nothing():
    detail = {
        "bucket": {"name": "b"},
        "object": {"key": "a+b", "version-id": "v1"},
        "requester": "1234",
        "source-ip-address": "10.0.0.7",
    }
    found = one({"source": "aws.s3", "detail": detail})
    assert (b"a+b", b"a b") == found.keys
    assert ("1234", "10.0.0.7", "v1") == (found.principal, found.address, found.version_id)


@given(st.text(min_size=1).filter(lambda key: key.isprintable()))
def test_the_key_is_among_the_readings_however_it_was_quoted(key):
    for quoted, source in [
        (urllib.parse.quote_plus(key), "aws:s3"),
        (urllib.parse.quote_plus(key, safe="/"), "ministack:s3"),
        (urllib.parse.quote(key), "moto:s3"),
        (key, "ceph:s3"),
    ]:
        readings = one({"Records": [record(quoted, source)]}).keys
        assert key.encode() == readings[0] or "moto" in source
        assert key.encode() in readings


JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.just("s3"),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "bucket", "object", "key", "name", "Message", "detail"]
            ),
            inner,
        )
    ),
)


@given(JSON)
def test_anything_else_is_no_event_or_no_json(message):
    try:
        events_in(json.dumps(message))
    except ValueError:
        assert "Message" in json.dumps(message)


@pytest.mark.parametrize("message", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(message):
    with pytest.raises(ValueError, match="no JSON"):
        events_in(message)


def test_a_test_event_says_nothing():
    assert () == events_in(b'{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}')
