"""What the servers of the tests do with versions, conditions and checksums, asked through boto3.

The parts of dataguard that work on buckets rely on this; where a server does not do it, the
capability says so, and the test is skipped with the reason.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import zlib

import pytest
from botocore.exceptions import ClientError

WRONG = {
    "sha256": {"ChecksumSHA256": base64.b64encode(bytes(32)).decode()},
    "crc32": {"ChecksumCRC32": base64.b64encode(bytes(4)).decode()},
    "crc64nvme": {"ChecksumCRC64NVME": base64.b64encode(bytes(8)).decode()},
    "md5": {"ContentMD5": base64.b64encode(bytes(16)).decode()},
}
PART = 5 << 20  # the smallest that S3 takes for a part that is not the last


@pytest.fixture
def s3(objectserver):
    # Some of the refusals below are tried again by default, seconds later.
    with objectserver.client(retries={"total_max_attempts": 1}) as client:
        yield client


@pytest.fixture
def admin(objectserver):
    with objectserver.client(objectserver.admin) as client:
        yield client


def refusal(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def put(s3, bucket, key="a", body=b"x", **arguments):
    return s3.put_object(Bucket=bucket, Key=key, Body=body, **arguments).get("VersionId")


def get(s3, bucket, key="a", **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def history(s3, bucket, key="a", size=1000):
    """(version id, latest, marker) of one key as pages give them, in the order of the times."""
    rows = []
    pages = s3.get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": size}):
        for kind in ("Versions", "DeleteMarkers"):
            rows += [
                (row["VersionId"], row["IsLatest"], kind == "DeleteMarkers")
                for row in page.get(kind, ())
                if row["Key"] == key
            ]
    return rows


# --- versions -----------------------------------------------------------------------------------


def test_old_versions_stay_readable_by_their_ids(s3, bucket):
    old, new = put(s3, bucket, body=b"old"), put(s3, bucket, body=b"newer")
    assert b"old" == get(s3, bucket, VersionId=old)
    assert b"newer" == get(s3, bucket, VersionId=new) == get(s3, bucket)
    assert 3 == s3.head_object(Bucket=bucket, Key="a", VersionId=old)["ContentLength"]


def test_ranges_of_old_versions_are_what_was_asked_for(objectserver, s3, bucket):
    objectserver.needs("ranges of versions")
    old = put(s3, bucket, body=b"old")
    put(s3, bucket, body=b"newer")
    answer = s3.get_object(Bucket=bucket, Key="a", VersionId=old, Range="bytes=1-1")
    assert 206 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert ("bytes 1-1/3", b"l") == (answer["ContentRange"], answer["Body"].read())


def test_range_that_was_ignored_is_told_by_its_status(objectserver, s3, bucket):
    """The trap: the whole version comes, and only a client that looks at the status knows."""
    if "ranges of versions" not in objectserver.lacks:
        pytest.skip(f"{objectserver.name}: answers with ranges")
    old = put(s3, bucket, body=b"old")
    answer = s3.get_object(Bucket=bucket, Key="a", VersionId=old, Range="bytes=1-1")
    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert ("ContentRange" in answer, answer["Body"].read()) == (False, b"old")


@pytest.mark.parametrize("size", [1000, 2, 1])
def test_pages_of_any_size_list_every_version_and_marker_of_a_key_once(s3, bucket, size):
    ids = [put(s3, bucket, body=b"%d" % number) for number in range(3)]
    ids.append(s3.delete_object(Bucket=bucket, Key="a")["VersionId"])
    ids.append(put(s3, bucket, body=b"back"))
    rows = history(s3, bucket, size=size)
    assert sorted(ids) == sorted(row[0] for row in rows)
    assert [ids[-1]] == [row[0] for row in rows if row[1]]
    assert [ids[3]] == [row[0] for row in rows if row[2]]


def test_delete_marker_hides_the_object_and_its_removal_brings_it_back(s3, bucket):
    kept = put(s3, bucket, body=b"kept")
    marker = s3.delete_object(Bucket=bucket, Key="a")
    assert marker["DeleteMarker"]
    assert (404, "NoSuchKey") == refusal(s3.get_object, Bucket=bucket, Key="a")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert b"kept" == get(s3, bucket, VersionId=kept)
    assert [(marker["VersionId"], True, True)] == [row for row in history(s3, bucket) if row[2]]
    s3.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert b"kept" == get(s3, bucket)


def test_version_that_is_gone_is_told_from_a_key_that_never_was(s3, bucket):
    gone = put(s3, bucket, body=b"old")
    put(s3, bucket, body=b"new")
    s3.delete_object(Bucket=bucket, Key="a", VersionId=gone)
    assert 404 == refusal(s3.head_object, Bucket=bucket, Key="a", VersionId=gone)[0]
    assert (404, "NoSuchVersion") == refusal(s3.get_object, Bucket=bucket, Key="a", VersionId=gone)
    assert (404, "NoSuchKey") == refusal(s3.get_object, Bucket=bucket, Key="never")
    assert (404, "NoSuchBucket") == refusal(s3.list_objects_v2, Bucket="never-made")


def test_suspended_versioning_overwrites_without_history(s3, admin, bucket):
    pinned = put(s3, bucket, body=b"pinned")
    admin.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert "Suspended" == s3.get_bucket_versioning(Bucket=bucket)["Status"]
    put(s3, bucket, body=b"one")
    put(s3, bucket, body=b"two")
    assert {pinned, "null"} == {row[0] for row in history(s3, bucket)}
    assert b"pinned" == get(s3, bucket, VersionId=pinned)
    assert b"two" == get(s3, bucket)


def test_bucket_without_versions_says_so_and_lists_null_ids(objectserver, s3, make_bucket):
    bucket = make_bucket(objectserver, versioned=False)
    put(s3, bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert [("null", True, False)] == history(s3, bucket)
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="a")


# --- conditions ---------------------------------------------------------------------------------


def test_only_new_objects_are_created_where_that_was_asked_for(s3, bucket):
    put(s3, bucket, body=b"first", IfNoneMatch="*")
    assert (412, "PreconditionFailed") == refusal(
        s3.put_object, Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*"
    )
    assert b"first" == get(s3, bucket)


def test_one_of_many_creates_an_object_at_once(s3, bucket):
    start, statuses = threading.Barrier(6), []

    def create(number):
        start.wait()
        try:
            answer = s3.put_object(Bucket=bucket, Key="a", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            answer = error.response
        statuses.append(answer["ResponseMetadata"]["HTTPStatusCode"])

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == statuses.count(200)
    assert set(statuses) <= {200, 409, 412}
    assert 1 == len(history(s3, bucket))


def test_reads_and_writes_of_an_object_that_changed_are_refused(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"old")["ETag"]
    assert b"old" == get(s3, bucket, IfMatch=etag)
    put(s3, bucket, body=b"new")
    assert 412 == refusal(s3.get_object, Bucket=bucket, Key="a", IfMatch=etag)[0]
    assert 412 == refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"x", IfMatch=etag)[0]
    assert b"new" == get(s3, bucket)


def test_range_beyond_the_end_is_an_error_and_no_empty_answer(s3, bucket):
    put(s3, bucket, body=b"0123")
    assert b"23" == get(s3, bucket, Range="bytes=2-99")
    assert 416 == refusal(s3.get_object, Bucket=bucket, Key="a", Range="bytes=4-5")[0]


# --- checksums ----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "crc32", "crc64nvme", "md5"])
def test_bytes_with_a_wrong_checksum_are_refused(s3, bucket, algorithm):
    status, _ = refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"x", **WRONG[algorithm])
    assert 400 == status
    assert [] == history(s3, bucket)


def test_checksum_given_with_an_object_is_kept_and_told(s3, bucket):
    digest = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()
    put(s3, bucket, body=b"bytes", ChecksumSHA256=digest)
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert digest == head["ChecksumSHA256"]


def test_clients_of_today_leave_a_crc32_unasked(s3, bucket):
    put(s3, bucket, body=b"bytes")
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert zlib.crc32(b"bytes").to_bytes(4, "big") == base64.b64decode(head["ChecksumCRC32"])


def test_checksum_says_whether_it_covers_the_object_or_its_parts(objectserver, s3, bucket):
    objectserver.needs("checksum types")
    put(s3, bucket, ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert "FULL_OBJECT" == head["ChecksumType"]


def test_attributes_are_told_without_the_object(objectserver, s3, bucket, proxies):
    put(s3, bucket, body=bytes(100_000), ChecksumAlgorithm="SHA256")
    proxy = proxies(objectserver.endpoint)
    with objectserver.client(endpoint=proxy.endpoint) as counted:
        answer = counted.get_object_attributes(
            Bucket=bucket, Key="a", ObjectAttributes=["ETag", "Checksum", "ObjectSize"]
        )
    assert 100_000 == answer["ObjectSize"]
    assert proxy.asked("GET", "attributes")[0].sent < 2000
    objectserver.needs("checksums in attributes")
    assert (
        base64.b64encode(hashlib.sha256(bytes(100_000)).digest()).decode()
        == (answer["Checksum"]["ChecksumSHA256"])
    )


def test_etag_of_one_put_is_the_md5_in_quotes(s3, bucket):
    put(s3, bucket, body=b"bytes")
    expected = f'"{hashlib.md5(b"bytes").hexdigest()}"'
    assert expected == s3.head_object(Bucket=bucket, Key="a")["ETag"]
    assert expected == s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"]
    assert expected == s3.list_object_versions(Bucket=bucket)["Versions"][0]["ETag"]


def test_etag_of_parts_is_the_md5_of_md5s_with_their_count(s3, bucket):
    bodies = [bytes(PART), b"end"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(
                Bucket=bucket, Key="a", UploadId=upload, PartNumber=number, Body=body
            )["ETag"],
        }
        for number, body in enumerate(bodies, 1)
    ]
    assert [] == history(s3, bucket)
    s3.complete_multipart_upload(
        Bucket=bucket, Key="a", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    head = s3.head_object(Bucket=bucket, Key="a")
    assert f'"{hashlib.md5(digests).hexdigest()}-2"' == head["ETag"]
    assert PART + 3 == head["ContentLength"]


def test_aborted_parts_leave_no_object(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=bytes(PART))
    s3.abort_multipart_upload(Bucket=bucket, Key="a", UploadId=upload)
    assert [] == history(s3, bucket)
    assert [] == s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def test_objects_of_no_bytes_are_objects(s3, bucket):
    pinned = put(s3, bucket, body=b"")
    assert b"" == get(s3, bucket, VersionId=pinned)
    assert 0 == s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"]
