"""What writing shows of servers, and that it leaves nothing."""

from __future__ import annotations

import pytest

from dataguard.errors import DeniedError, NotFoundError
from dataguard.model.objects import Capabilities, Versioning
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objecttrial import try_out
from dataguard.stores.s3access import Access
from support.countingproxy import Reply

EXPECTED = {
    "ministack": Capabilities(
        versioning=Versioning.ENABLED,
        checksums=("SHA256",),
        attributes=True,
        literal_keys=True,
        ordered=True,
        conditional_writes=True,
        verifies_checksums=True,
    ),
    "seaweedfs": Capabilities(
        versioning=Versioning.ENABLED,
        checksums=("SHA256",),
        attributes=True,
        literal_keys=False,
        ordered=False,
        conditional_writes=True,
        verifies_checksums=True,
    ),
}


@pytest.fixture
def client_of(objectserver):
    made = []
    with objectserver.acting():

        def make(bucket, endpoint=""):
            made.append(ObjectClient(Access(bucket, endpoint or objectserver.endpoint)))
            return made[-1]

        yield make
        for client in made:
            client.close()


def left_in(objectserver, bucket):
    with objectserver.client() as s3:
        listing = s3.list_object_versions(Bucket=bucket)
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
        return [*listing.get("Versions", ()), *listing.get("DeleteMarkers", ())]


def test_trial_shows_what_the_server_does_and_leaves_nothing(objectserver, bucket, client_of):
    found = try_out(client_of(bucket), b"scratch/", Capabilities(), token="1")
    assert EXPECTED[objectserver.name] == found
    assert [] == left_in(objectserver, bucket)


def test_trial_keeps_what_looking_showed(bucket, client_of):
    looked = Capabilities(versions_listed=True, lock=False, checksums=("CRC32", "SHA256"))
    found = try_out(client_of(bucket), b"", looked, token="1")
    assert (True, False) == (found.versions_listed, found.lock)
    assert ("CRC32", "SHA256") == found.checksums


def test_trial_writes_below_the_scratch_prefix_alone(objectserver, bucket, client_of, proxies):
    proxy = proxies(objectserver.endpoint)
    try_out(client_of(bucket, proxy.endpoint), b"out/x/", Capabilities(), token="t0k")
    changed = [
        seen.request.key for seen in proxy.seen if seen.request.method not in {"GET", "HEAD"}
    ]
    assert changed
    assert all(key.startswith(b"out/x/.dataguard-probe-t0k/") for key in changed)
    assert 0 == proxy.data_bytes()


def test_bucket_without_versions_is_tried_as_well(objectserver, make_bucket, client_of):
    bucket = make_bucket(objectserver, versioned=False)
    looked = Capabilities(versioning=Versioning.OFF)
    assert try_out(client_of(bucket), b"", Capabilities(), token="2").conditional_writes
    found = try_out(client_of(bucket), b"", looked, token="1")
    assert Versioning.OFF is found.versioning
    assert found.conditional_writes
    assert [] == left_in(objectserver, bucket)


@pytest.mark.parametrize("looked", [Capabilities(), Capabilities(Versioning.SUSPENDED)])
def test_suspended_versioning_leaves_no_delete_markers(objectserver, bucket, client_of, looked):
    with objectserver.client(objectserver.admin) as admin:
        admin.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    found = try_out(client_of(bucket), b"", looked, token="1")
    assert looked.versioning is found.versioning
    assert [] == left_in(objectserver, bucket)


def test_condition_that_is_ignored_is_noticed(objectserver, bucket, client_of, proxies):
    proxy = proxies(objectserver.endpoint)
    key = b".dataguard-probe-1/condition"
    proxy.spoil(Reply(200, headers=(("ETag", '"x"'),)), method="PUT", key=key, skip=1)
    found = try_out(client_of(bucket, proxy.endpoint), b"", Capabilities(), token="1")
    assert found.conditional_writes is False


def test_wrong_checksum_that_is_taken_is_noticed(objectserver, bucket, client_of, proxies):
    proxy = proxies(objectserver.endpoint)
    proxy.spoil(Reply(200), method="PUT", key=b".dataguard-probe-1/wrong")
    found = try_out(client_of(bucket, proxy.endpoint), b"", Capabilities(), token="1")
    assert found.verifies_checksums is False


def test_object_in_place_of_its_attributes_is_noticed(objectserver, bucket, client_of, proxies):
    proxy = proxies(objectserver.endpoint)
    proxy.spoil(Reply(200, b"the object itself"), query="attributes")
    found = try_out(client_of(bucket, proxy.endpoint), b"", Capabilities(), token="1")
    assert found.attributes is False


def test_bucket_that_retains_what_is_written_is_left_alone(objectserver, make_bucket, client_of):
    bucket = make_bucket(objectserver, locked=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    with objectserver.client(objectserver.admin) as admin:
        admin.put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    looked = Capabilities(lock=True)
    assert looked == try_out(client_of(bucket), b"", looked, token="1")
    assert [] == left_in(objectserver, bucket)


def test_who_may_not_write_is_told_so_and_leaves_nothing(objectserver, bucket):
    with objectserver.acting(objectserver.reader):
        client = ObjectClient(Access(bucket, objectserver.endpoint))
        with pytest.raises(DeniedError):
            try_out(client, b"", Capabilities(), token="1")
        client.close()
    assert [] == left_in(objectserver, bucket)


def test_failure_in_the_middle_leaves_nothing(objectserver, bucket, client_of, proxies):
    proxy = proxies(objectserver.endpoint)
    proxy.spoil(Reply(403), method="PUT", key=b".dataguard-probe-1/d/a")
    with pytest.raises(DeniedError):
        try_out(client_of(bucket, proxy.endpoint), b"", Capabilities(), token="1")
    assert [] == left_in(objectserver, bucket)


def test_bucket_that_is_not_there_is_not_found(client_of):
    with pytest.raises(NotFoundError):
        try_out(client_of("never-made"), b"", Capabilities(), token="1")
