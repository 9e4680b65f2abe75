"""Traps of object stores: what the obvious use of s3fs does there, and what our client does.

Each pair has a test of the library, which fails when a release mends it (then the reason for our
own way is gone), and one of ours on the same objects.
"""

from __future__ import annotations

import os
import pickle

import pytest

from dataguard.errors import ConflictError, DeniedError, NotFoundError
from dataguard.model.objects import Pin
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access
from support.countingproxy import Before

MIB = 1 << 20


@pytest.fixture
def s3(objectserver):
    with objectserver.client() as client:
        yield client


@pytest.fixture
def naive(objectserver):
    """Make an s3fs file system as a program would that knows nothing of what follows."""
    import s3fs

    def make(user=None, endpoint="", **options):
        who = user or objectserver.registrar
        options.setdefault("skip_instance_cache", True)  # instances of other tests are not ours
        return s3fs.S3FileSystem(
            key=who.access_key,
            secret=who.secret_key,
            endpoint_url=endpoint or objectserver.endpoint,
            **options,
        )

    return make


@pytest.fixture
def ours(objectserver, bucket):
    """Make a client of the bucket for one of the users."""
    made = []
    with pytest.MonkeyPatch.context() as patch:

        def make(user=None, endpoint=""):
            for name, value in objectserver.environment(user).items():
                patch.setenv(name, value)
            client = ObjectClient(Access(bucket, endpoint or objectserver.endpoint))
            made.append(client)
            return client

        yield make
        for client in made:
            client.close()


def put(s3, bucket, key, body):
    answer = s3.put_object(Bucket=bucket, Key=key, Body=body)
    return Pin(key.encode(), answer["VersionId"], answer["ETag"].strip('"'), len(body))


def read(client, pin, *span):
    return b"".join(client.read(pin, *span))


def pattern(size, seed):
    return bytes([seed, 255 - seed]) * (size // 2)


# --- pins ---------------------------------------------------------------------------------------

SIZES = [
    pytest.param(MIB, id="small blocks"),
    pytest.param(50 * MIB, id="default blocks", marks=pytest.mark.long),
]


@pytest.fixture
def pinned(objectserver, s3, bucket, request):
    """A pin, its bytes, and the block size; the object is smaller since, but larger than that."""
    objectserver.needs("ranges of versions")
    block = request.param
    old = pattern(3 * block, 1)
    pin = put(s3, bucket, "a", old)
    put(s3, bucket, "a", pattern(block + 2, 2))
    return pin, old, block


@pytest.mark.parametrize("pinned", SIZES, indirect=True)
def test_s3fs_cuts_a_pinned_version_to_the_size_of_the_latest(naive, bucket, pinned):
    pin, old, block = pinned
    fs = naive(version_aware=True, default_block_size=block)
    got = fs.cat_file(f"{bucket}/a", version_id=pin.version_id)
    assert block + 2 == len(got) < len(old)


@pytest.mark.parametrize("pinned", SIZES, indirect=True)
def test_we_read_all_of_a_pinned_version(ours, pinned):
    pin, old, block = pinned
    client = ours()
    assert old == read(client, pin)
    assert old[block : block + 10] == read(client, pin, block, 10)


def test_s3fs_reads_the_latest_where_the_url_names_a_version(naive, s3, bucket):
    pin = put(s3, bucket, "a", b"pinned")
    put(s3, bucket, "a", b"poison")
    url = f"s3://{bucket}/a?versionId={pin.version_id}"
    assert b"poison" == naive().cat_file(url)
    with naive().open(url) as file:
        assert b"poison" == file.read()
    assert b"pinned" == naive(version_aware=True).cat_file(url)


def test_we_read_the_version_that_is_pinned_or_nothing(ours, s3, bucket):
    pin = put(s3, bucket, "a", b"pinned")
    put(s3, bucket, "a", b"poison")
    client = ours()
    assert b"pinned" == read(client, pin)
    with pytest.raises(ConflictError):
        read(client, Pin(pin.key, None, pin.etag, pin.size))
    with pytest.raises(ConflictError):
        read(client, Pin(pin.key, pin.version_id, pin.etag, pin.size + 1))
    s3.delete_object(Bucket=bucket, Key="a", VersionId=pin.version_id)
    with pytest.raises(NotFoundError):
        read(client, pin)


def test_key_with_a_version_in_its_name_is_a_key(naive, ours, s3, bucket):
    put(s3, bucket, "k", b"other")
    pin = put(s3, bucket, "k?versionId=1", b"right")
    with pytest.raises(FileNotFoundError):
        naive(version_aware=True).cat_file(f"{bucket}/k?versionId=1")
    assert b"other" == naive().cat_file(f"{bucket}/k?versionId=1")
    assert b"right" == read(ours(), pin)


# --- torn reads ---------------------------------------------------------------------------------


def test_s3fs_mixes_two_objects_where_one_is_overwritten_while_it_reads(
    objectserver, naive, s3, make_bucket, proxies
):
    bucket = make_bucket(objectserver, versioned=False)
    old, new = pattern(4 * MIB, 1), pattern(4 * MIB, 2)
    s3.put_object(Bucket=bucket, Key="a", Body=old)
    proxy = proxies(objectserver.endpoint)
    proxy.spoil(Before(lambda: s3.put_object(Bucket=bucket, Key="a", Body=new)), skip=2)
    fs = naive(endpoint=proxy.endpoint, default_block_size=MIB, max_concurrency=2)
    got = fs.cat_file(f"{bucket}/a")
    assert old[: 2 * MIB] == got[: 2 * MIB]
    assert new[3 * MIB :] in {got[2 * MIB : 3 * MIB], got[3 * MIB :]}


@pytest.mark.parametrize("when", [0, 1])
def test_we_refuse_an_object_that_is_overwritten_between_ranges(
    objectserver, s3, make_bucket, proxies, when
):
    bucket = make_bucket(objectserver, versioned=False)
    old, new = pattern(2 * MIB, 1), pattern(2 * MIB, 2)
    etag = s3.put_object(Bucket=bucket, Key="a", Body=old)["ETag"].strip('"')
    proxy = proxies(objectserver.endpoint)
    proxy.spoil(Before(lambda: s3.put_object(Bucket=bucket, Key="a", Body=new)), skip=when)
    pin = Pin(b"a", None, etag, len(old))
    with objectserver.acting():
        client = ObjectClient(Access(bucket, proxy.endpoint))
        with pytest.raises(ConflictError):
            b"".join(read(client, pin, start, MIB) for start in (0, MIB))
        client.close()


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["br[1]", "what?", "all*"])
def test_s3fs_takes_keys_for_patterns(naive, s3, bucket, key):
    others = {"br[1]": "br1", "what?": "whats", "all*": "all-of-them"}
    put(s3, bucket, key, b"right")
    put(s3, bucket, others[key], b"other")
    fs = naive()
    try:
        got = fs.cat(f"{bucket}/{key}")
    except FileNotFoundError:
        return
    assert b"right" != got


def test_s3fs_deletes_what_a_key_matches(naive, s3, bucket):
    for key in ("all*", "all-of-them"):
        put(s3, bucket, key, b"x")
    naive().rm(f"{bucket}/all*")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("key", ["br[1]", "what?", "all*", "a%41", "a+b", "a b"])
def test_we_take_keys_literally(ours, s3, bucket, key):
    others = ("br1", "whats", "all-of-them", "aA", "a%20b")
    for other in others:
        put(s3, bucket, other, b"other")
    pin = put(s3, bucket, key, b"right")
    client = ours()
    assert b"right" == read(client, pin)
    client.delete(key.encode())
    kept = {row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert set(others) == kept


# --- denials ------------------------------------------------------------------------------------


@pytest.fixture
def guarded(objectserver, s3, bucket):
    """Gold that the trainer may not write."""
    import json

    pin = put(s3, bucket, "gold/a", b"gold")
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": objectserver.trainer.arn},
        "Action": ["s3:Put*", "s3:Delete*"],
        "Resource": f"arn:aws:s3:::{bucket}/gold/*",
    }
    with objectserver.client(objectserver.admin) as admin:
        admin.put_bucket_policy(
            Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
    return pin


@pytest.mark.usefixtures("guarded")
def test_s3fs_says_nothing_of_a_delete_that_was_denied(objectserver, naive, s3, bucket):
    objectserver.needs("denials row by row")
    fs = naive(objectserver.trainer)
    fs.rm(f"{bucket}/gold/a")
    fs.mv(f"{bucket}/gold/a", f"{bucket}/out/a")
    assert b"gold" == s3.get_object(Bucket=bucket, Key="gold/a")["Body"].read()
    assert b"gold" == s3.get_object(Bucket=bucket, Key="out/a")["Body"].read()


def test_we_say_what_was_denied(objectserver, ours, s3, bucket, guarded):
    client = ours(objectserver.trainer)
    with pytest.raises(DeniedError, match="gold/a"):
        client.delete(b"gold/a")
    with pytest.raises(DeniedError, match="gold/a"):
        client.delete(b"gold/a", guarded.version_id)
    with pytest.raises(DeniedError, match="gold/new"):
        client.put(b"gold/new", b"x")
    assert b"gold" == s3.get_object(Bucket=bucket, Key="gold/a")["Body"].read()
    assert 1 == s3.list_objects_v2(Bucket=bucket, Prefix="gold/")["KeyCount"]


# --- caches -------------------------------------------------------------------------------------


def test_s3fs_remembers_listings_for_ever_and_in_every_instance(naive, s3, bucket):
    put(s3, bucket, "d/a", b"old")
    first = naive(skip_instance_cache=False)
    assert [f"{bucket}/d/a"] == first.find(f"{bucket}/d")
    assert 3 == first.ls(f"{bucket}/d", detail=True)[0]["size"]
    put(s3, bucket, "d/a", b"longer")
    put(s3, bucket, "d/b", b"new")
    again = naive(skip_instance_cache=False)
    assert 3 == again.info(f"{bucket}/d/a")["size"]
    assert [f"{bucket}/d/a"] == again.ls(f"{bucket}/d", detail=False)


def test_we_list_what_is_there(ours, s3, bucket):
    client = ours()

    def listed():
        rows = [row for batch in client.list_current(b"d/") for row in batch.to_pylist()]
        return {row["key"]: row["size"] for row in rows}

    put(s3, bucket, "d/a", b"old")
    assert {b"d/a": 3} == listed()
    put(s3, bucket, "d/a", b"longer")
    put(s3, bucket, "d/b", b"new")
    assert {b"d/a": 6, b"d/b": 3} == listed()


@pytest.mark.parametrize("protocol", ["simplecache", "filecache"])
def test_caches_of_fsspec_serve_bytes_that_changed_on_disk(
    objectserver, s3, bucket, tmp_path, protocol
):
    """Ours is tests/stores/test_nodecache.py's subject: content is served where its digest fits."""
    import fsspec

    put(s3, bucket, "a", b"right")
    options = {
        "s3": {
            "key": objectserver.registrar.access_key,
            "secret": objectserver.registrar.secret_key,
            "endpoint_url": objectserver.endpoint,
            "skip_instance_cache": True,
        },
        protocol: {"cache_storage": str(tmp_path), "skip_instance_cache": True},
    }
    url = f"{protocol}::s3://{bucket}/a"
    with fsspec.open(url, **options) as file:
        assert b"right" == file.read()
    for name in os.listdir(tmp_path):
        if (tmp_path / name).read_bytes() == b"right":
            (tmp_path / name).write_bytes(b"wrong")
    with fsspec.open(url, **options) as file:
        assert b"wrong" == file.read()


# --- secrets ------------------------------------------------------------------------------------


def test_s3fs_carries_secrets_where_it_is_pickled(objectserver, naive):
    assert objectserver.registrar.secret_key.encode() in pickle.dumps(naive())
    assert objectserver.registrar.secret_key in naive().to_json(include_password=True)


def test_what_we_hand_to_workers_holds_no_secret(objectserver, bucket):
    with objectserver.acting():
        access = Access(bucket, objectserver.endpoint)
        client = ObjectClient(access)
        client.versioning()
        for text in (pickle.dumps(access).decode("latin-1"), repr(access), repr(client)):
            assert objectserver.registrar.secret_key not in text
            assert objectserver.registrar.access_key not in text
        client.close()
