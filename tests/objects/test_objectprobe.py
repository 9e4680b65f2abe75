"""What looking at a bucket shows; it writes nothing, and reads no object."""

from __future__ import annotations

import pytest

from dataguard.errors import NotFoundError
from dataguard.model.objects import Versioning
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectprobe import probe
from dataguard.stores.s3access import Access
from support.countingproxy import Hide, Reply

MIB = 1 << 20
DENIED = Reply(403, b"<Error><Code>AccessDenied</Code></Error>")


@pytest.fixture
def proxy(objectserver, proxies):
    return proxies(objectserver.endpoint)


@pytest.fixture
def gold(objectserver, bucket):
    """A bucket with a few objects, the first of them without a slash below the prefix."""
    with objectserver.client() as s3:
        for key in ("gold/a", "gold/d/b", "other"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"bytes", ChecksumAlgorithm="SHA256")
    return bucket


@pytest.fixture
def look(objectserver, proxy):
    """Probe a bucket as the reader, through the proxy."""

    def looked(bucket, prefix=b"gold/"):
        with objectserver.acting(objectserver.reader):
            client = ObjectClient(Access(bucket, proxy.endpoint), pause=lambda _: None)
            try:
                return probe(client, prefix)
            finally:
                client.close()

    return looked


def test_looking_shows_what_there_is_to_see(objectserver, look, gold):
    found = look(gold)
    assert Versioning.ENABLED is found.versioning
    assert found.lock is False
    assert ("SHA256",) == found.checksums
    assert ("literal paths" not in objectserver.lacks) is found.literal_keys
    assert ("complete pages" not in objectserver.lacks) is found.ordered is found.versions_listed


def test_looking_writes_nothing_and_reads_no_object(look, gold, proxy):
    look(gold)
    assert {"GET", "HEAD"} == {seen.request.method for seen in proxy.seen}
    assert () == proxy.reads()


def test_nothing_is_asked_for_that_nobody_reads(look, gold, proxy):
    look(gold)
    assert () == proxy.asked("GET", "attributes")


def test_nothing_is_asked_for_twice(look, gold, proxy):
    look(gold)
    asked = [(seen.request.method, seen.request.key, *seen.request.query) for seen in proxy.seen]
    assert sorted(set(asked)) == sorted(asked)


def test_what_is_denied_is_unknown(look, gold, proxy):
    for query in ("versioning", "object-lock"):
        proxy.spoil(DENIED, query=query, times=100)
    found = look(gold)
    assert Versioning.UNKNOWN is found.versioning
    assert found.lock is None


def test_server_that_hides_its_name_is_known_by_what_it_does(objectserver, look, gold, proxy):
    for method in ("GET", "HEAD"):
        for query in ("versioning", "versions", "list-type", "object-lock"):
            proxy.spoil(Hide(b"server"), method=method, query=query, times=100)
    found = look(gold)
    assert ("complete pages" not in objectserver.lacks) is found.ordered is found.versions_listed


def test_locked_bucket_says_so(objectserver, look, make_bucket):
    bucket = make_bucket(objectserver, locked=True)
    with objectserver.client() as s3:
        s3.put_object(Bucket=bucket, Key="gold/a", Body=b"bytes")
    found = look(bucket)
    assert (True, Versioning.ENABLED) == (found.lock, found.versioning)


@pytest.mark.parametrize(
    ("status", "expected"), [("Suspended", Versioning.SUSPENDED), (None, Versioning.OFF)]
)
def test_bucket_without_versions_says_so(objectserver, look, make_bucket, status, expected):
    bucket = make_bucket(objectserver, versioned=status is not None)
    with objectserver.client(objectserver.admin) as s3:
        s3.put_object(Bucket=bucket, Key="gold/a", Body=b"bytes")
        if status:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    assert expected is look(bucket).versioning


@pytest.mark.parametrize("prefix", [b"gold/", b"nothing/here/"])
def test_nothing_to_look_at_is_not_found(look, bucket, prefix):
    with pytest.raises(NotFoundError):
        look(bucket, prefix)


def test_server_that_walks_directories_is_known_by_objects_without_any(
    objectserver, look, bucket, proxy
):
    with objectserver.client() as s3:
        s3.put_object(Bucket=bucket, Key="a", Body=b"bytes")
    for method in ("GET", "HEAD"):
        for query in ("versioning", "versions", "list-type", "object-lock"):
            proxy.spoil(Hide(b"server"), method=method, query=query, times=100)
    found = look(bucket, b"")
    assert ("literal paths" not in objectserver.lacks) is found.literal_keys is found.ordered
