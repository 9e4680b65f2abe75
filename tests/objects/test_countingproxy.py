"""The forwarder of the tests: clients notice nothing of it until it spoils an answer."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError
from urllib3.exceptions import IncompleteRead

from support.countingproxy import Before, Busy, Cut, Drop, Flip, Reply

KEYS = ["plain", "a b+c%41/é?[x]*", "dir/"]


@pytest.fixture
def proxy(objectserver, proxies):
    return proxies(objectserver.endpoint)


@pytest.fixture
def s3(objectserver, proxy):
    with objectserver.client(endpoint=proxy.endpoint, retries={"max_attempts": 0}) as client:
        yield client


def get(s3, bucket, key="a", **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_objects_pass_unchanged_and_are_counted(s3, proxy, bucket, size):
    body = bytes(range(251)) * (size // 251 + 1)
    s3.put_object(Bucket=bucket, Key="a", Body=body[:size])
    assert body[:size] == get(s3, bucket)
    assert size == proxy.data_bytes()
    assert ["PUT", "GET"] == [seen.request.method for seen in proxy.seen]
    assert proxy.asked("PUT")[0].request.size >= size


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_noted_as_they_are(s3, proxy, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert b"" == get(s3, bucket, key)
    assert [key.encode()] == [seen.request.key for seen in proxy.reads()]


def test_listings_heads_and_tags_are_no_reads_of_data(s3, proxy, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    s3.list_objects_v2(Bucket=bucket)
    s3.list_object_versions(Bucket=bucket)
    s3.head_object(Bucket=bucket, Key="a")
    s3.get_object_tagging(Bucket=bucket, Key="a")
    assert () == proxy.reads()
    assert 1 == len(proxy.asked("GET", "versions"))


def test_parts_and_ranges_pass(s3, proxy, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"0123456789")
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="a",
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
    assert b"345" == get(s3, bucket, Range="bytes=3-5")
    assert 3 == proxy.data_bytes()


def test_cut_body_ends_early_though_its_length_was_promised(s3, proxy, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=bytes(200_000))
    proxy.spoil(Cut(after=70_000))
    with pytest.raises((ResponseStreamingError, IncompleteRead)):
        get(s3, bucket)
    assert bytes(200_000) == get(s3, bucket)


def test_flipped_byte_arrives_as_such_in_the_read_that_was_asked_for(objectserver, proxy, bucket):
    # Where the server has a checksum, the client would refuse the bytes.
    with objectserver.client(
        endpoint=proxy.endpoint, response_checksum_validation="when_required"
    ) as s3:
        s3.put_object(Bucket=bucket, Key="a", Body=bytes(200_000))
        proxy.spoil(Flip(at=150_000), skip=1)
        assert bytes(200_000) == get(s3, bucket)
        spoilt = get(s3, bucket)
    assert [150_000] == [at for at, byte in enumerate(spoilt) if byte]


def test_busy_store_asks_for_patience_once(objectserver, proxy, bucket):
    with objectserver.client(
        endpoint=proxy.endpoint, retries={"total_max_attempts": 2, "mode": "standard"}
    ) as s3:
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        proxy.spoil(Busy())
        assert b"x" == get(s3, bucket)
    assert [503, 200] == [seen.status for seen in proxy.reads()]


def test_dropped_connection_and_foreign_answers(s3, proxy, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    proxy.spoil(Drop())
    with pytest.raises(ConnectionClosedError):
        get(s3, bucket)
    proxy.spoil(Reply(403, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(ClientError, match="AccessDenied"):
        get(s3, bucket)
    assert b"x" == get(s3, bucket)


def test_object_changes_between_two_ranges(objectserver, s3, proxy, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"old!" * 10)
    with objectserver.client() as other:
        proxy.spoil(
            Before(lambda: other.put_object(Bucket=bucket, Key="a", Body=b"new!" * 10)), skip=1
        )
        halves = [get(s3, bucket, Range=f"bytes={start}-{start + 19}") for start in (0, 20)]
    assert [b"old!" * 5, b"new!" * 5] == halves
