"""An object store of some years ago: what it lacks, and that we notice."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError

from dataguard.errors import ConflictError
from dataguard.model.objects import Capabilities, Pin, Versioning
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectprobe import probe
from dataguard.stores.s3access import Access

pytestmark = [pytest.mark.ceph, pytest.mark.long]  # a cluster takes a quarter of a minute


@pytest.fixture
def bucket(ceph, make_bucket):
    return make_bucket(ceph)


@pytest.fixture
def s3(ceph):
    with ceph.client(ceph.admin) as client:
        yield client


@pytest.fixture
def client(ceph, bucket):
    with ceph.acting(ceph.admin):
        made = ObjectClient(Access(bucket, ceph.endpoint))
        yield made
        made.close()


def put(s3, bucket, key, body, **arguments):
    answer = s3.put_object(Bucket=bucket, Key=key, Body=body, **arguments)
    return Pin(key.encode(), answer["VersionId"], answer["ETag"].strip('"'), len(body))


def test_wrong_checksums_and_conditions_are_ignored_by_the_server(s3, bucket):
    """The trap: both answer 200."""
    wrong = base64.b64encode(bytes(32)).decode()
    put(s3, bucket, "a", b"first", ChecksumSHA256=wrong)
    put(s3, bucket, "a", b"second", IfNoneMatch="*")
    assert b"second" == s3.get_object(Bucket=bucket, Key="a")["Body"].read()
    head = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert not [name for name in head if name.startswith("Checksum")]


def test_looking_shows_what_the_server_lacks(s3, bucket, client):
    put(s3, bucket, "d/a", b"bytes")
    assert probe(client, b"") == Capabilities(
        versioning=Versioning.ENABLED,
        versions_listed=True,
        lock=False,
        literal_keys=True,
        ordered=True,
    )


def test_pins_are_read_and_changed_objects_refused(s3, bucket, client):
    pin = put(s3, bucket, "a", b"pinned")
    put(s3, bucket, "a", b"poison")
    assert b"pinned" == b"".join(client.read(pin))
    assert b"nn" == b"".join(client.read(pin, 2, 2))
    with pytest.raises(ConflictError):
        list(client.read(Pin(pin.key, None, pin.etag, pin.size)))


@pytest.mark.parametrize(
    "key", ["a//b", "/lead", "trail/", "a b+c%41", "é", "br[1]?*", "./z", "x/../y", "a\\b"]
)
def test_keys_are_listed_and_read_literally(s3, bucket, client, key):
    pin = put(s3, bucket, key, key.encode())
    (batch,) = client.list_versions(b"")
    assert [pin.key] == batch.column("key").to_pylist()
    assert [pin.version_id] == batch.column("version_id").to_pylist()
    assert key.encode() == b"".join(client.read(pin))


def test_delete_markers_are_listed_in_their_place(s3, bucket, client):
    put(s3, bucket, "a", b"x")
    put(s3, bucket, "b", b"x")
    s3.delete_object(Bucket=bucket, Key="a")
    (batch,) = client.list_versions(b"")
    rows = [(row["key"], row["is_delete_marker"], row["is_latest"]) for row in batch.to_pylist()]
    assert [(b"a", True, True), (b"a", False, False), (b"b", False, True)] == rows


def allow_but(ceph, s3, bucket, **denied):
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": [ceph.trainer.arn]},
        "Action": ["s3:*"],
        "Resource": resource,
    }
    deny = {
        "Effect": "Deny",
        "Action": ["s3:Put*", "s3:Delete*"],
        "Resource": f"arn:aws:s3:::{bucket}/gold/*",
        **denied,
    }
    document = {"Version": "2012-10-17", "Statement": [allow, deny]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def is_denied(ceph, bucket):
    with ceph.client(ceph.trainer) as trainer:
        trainer.put_object(Bucket=bucket, Key="out/a", Body=b"x")
        try:
            trainer.put_object(Bucket=bucket, Key="gold/a", Body=b"x")
        except ClientError as error:
            return "AccessDenied" == error.response["Error"]["Code"]
        return False


def test_portable_deny_is_enforced(ceph, s3, bucket):
    condition = {"StringNotLike": {"aws:username": ["registrar"]}}
    allow_but(ceph, s3, bucket, Principal="*", Condition=condition)
    assert is_denied(ceph, bucket)


def test_deny_with_a_condition_it_does_not_know_is_stored_and_protects_nothing(ceph, s3, bucket):
    """The trap: the policy is accepted, and read back as it was given."""
    condition = {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam:::user/registrar"]}}
    allow_but(ceph, s3, bucket, Principal="*", Condition=condition)
    assert "PrincipalArn" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert not is_denied(ceph, bucket)
