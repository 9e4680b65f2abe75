"""What our client makes of networks and servers that fail: the right bytes, or an error."""

from __future__ import annotations

import os
from multiprocessing import get_context

import pytest

from dataguard.errors import StoreUnreachableError
from dataguard.model.objects import Pin
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access
from support.countingproxy import Busy, Cut, Drop, Flip, Reply

SIZE = 300_000
BODY = bytes(range(256)) * (SIZE // 256 + 1)
LISTING = b'<?xml version="1.0"?><ListVersionsResult>%b</ListVersionsResult>'


@pytest.fixture
def proxy(objectserver, proxies):
    return proxies(objectserver.endpoint)


@pytest.fixture
def pin(objectserver, bucket):
    with objectserver.client() as s3:
        answer = s3.put_object(Bucket=bucket, Key="a", Body=BODY[:SIZE])
    return Pin(b"a", answer["VersionId"], answer["ETag"].strip('"'), SIZE)


@pytest.fixture
def client(objectserver, bucket, proxy):
    pauses = []
    with objectserver.acting():
        made = ObjectClient(Access(bucket, proxy.endpoint), pause=pauses.append)
        made.pauses = pauses
        yield made
        made.close()


def read(client, pin):
    return b"".join(client.read(pin))


@pytest.mark.parametrize("after", [0, 1, 70_000, SIZE - 1])
def test_body_that_ends_early_is_read_on(client, proxy, pin, after):
    """Also from a server that sends all of a version where the rest was asked for."""
    proxy.spoil(Cut(after=after))
    assert BODY[:SIZE] == read(client, pin)


def test_body_that_never_comes_whole_is_an_error(client, proxy, pin):
    proxy.spoil(Cut(after=0), times=1000)
    with pytest.raises(StoreUnreachableError):
        read(client, pin)
    assert len(proxy.reads()) < 100


@pytest.mark.parametrize("fault", [Busy(), Drop(), Reply(500), Reply(503)], ids=repr)
def test_failure_that_passes_is_waited_for(client, proxy, pin, fault):
    proxy.spoil(fault, times=2)
    assert BODY[:SIZE] == read(client, pin)
    assert client.pauses
    assert 3 == len(proxy.reads())


def test_failure_that_stays_is_an_error(client, proxy, pin):
    proxy.spoil(Busy(), times=1000)
    with pytest.raises(StoreUnreachableError):
        read(client, pin)
    assert len(proxy.reads()) < 100


def test_flipped_byte_passes_the_client_and_so_has_to_be_found_by_the_digest(client, proxy, pin):
    """Reading is no verification: who serves or registers bytes digests them."""
    proxy.spoil(Flip(at=150_000))
    spoilt = read(client, pin)
    assert [150_000] == [at for at in range(SIZE) if spoilt[at] != BODY[at]]


@pytest.mark.parametrize(
    "page",
    [
        b"<html>a proxy's page</html>",
        b"",
        LISTING % b"<IsTruncated>true</IsTruncated>",
        LISTING % b"<IsTruncated>true</IsTruncated><NextKeyMarker></NextKeyMarker>",
    ],
    ids=["another page", "nothing", "no marker", "an empty marker"],
)
def test_listing_that_cannot_be_completed_is_an_error(client, proxy, page):
    proxy.spoil(Reply(200, page), query="versions", times=1000)
    with pytest.raises(StoreUnreachableError):
        list(client.list_versions(b""))


def test_listing_that_is_cut_is_asked_for_again(client, proxy, pin):
    proxy.spoil(Cut(after=200), query="versions", times=2)
    rows = [row for batch in client.list_versions(b"") for row in batch.to_pylist()]
    assert [(pin.key, pin.version_id)] == [(row["key"], row["version_id"]) for row in rows]


def digest_in_child(client, pin, results):
    results.put(read(client, pin) == BODY[:SIZE])


def test_client_that_was_used_may_be_inherited_by_forked_processes(client, pin):
    assert BODY[:SIZE] == read(client, pin)
    context = get_context("fork")
    results = context.SimpleQueue()
    children = [
        context.Process(target=digest_in_child, args=(client, pin, results)) for _ in range(3)
    ]
    for child in children:
        child.start()
    assert BODY[:SIZE] == read(client, pin)
    for child in children:
        child.join(30)
        assert 0 == child.exitcode
    assert all(results.get() for _ in children)


def test_s3fs_that_was_used_fails_in_forked_processes(objectserver, bucket, pin):
    import s3fs

    with objectserver.acting():
        fs = s3fs.S3FileSystem(skip_instance_cache=True, endpoint_url=objectserver.endpoint)
        assert BODY[:SIZE] == fs.cat_file(f"{bucket}/{pin.key.decode()}")
        child = os.fork()
        if not child:
            try:
                fs.cat_file(f"{bucket}/{pin.key.decode()}")
            except RuntimeError:
                os._exit(3)
            os._exit(0)
    assert 3 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
