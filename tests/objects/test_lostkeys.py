"""Keys that a real store loses between the pages of its listings, and registering that has them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.span import WHOLE, Span
from dataguard.stores import objectpages
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectprobe import probe
from dataguard.stores.objects import ObjectStore
from dataguard.stores.s3access import Access

# Beside each directory a name that sorts before its files; a page of 1,000 ends between the two.
KEYS = [f"gold/s{number:03}{end}" for number in range(340) for end in ("-x", ".x", "/a")]


@pytest.fixture
def fill(seaweedfs, make_bucket):
    """Make a bucket with these keys, and return a client of it."""
    clients = []

    def fill(keys):
        client = ObjectClient(Access(make_bucket(seaweedfs), seaweedfs.endpoint))
        clients.append(client)
        with ThreadPoolExecutor(8) as writers:
            list(writers.map(lambda key: client.put(key.encode(), key.encode()), keys))
        return client

    with seaweedfs.acting():
        yield fill
    for client in clients:
        client.close()


@pytest.fixture
def filled(fill):
    return fill(KEYS).access.bucket


def test_pages_of_versions_lose_keys_and_registering_does_not(seaweedfs, filled, tmp_path):
    with seaweedfs.client() as s3:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=filled)
        listed = {row["Key"] for page in pages for row in page["Versions"]}
    assert set(KEYS) - listed
    found = seaweedfs.shell(tmp_path).ask("register", "d", f"s3://{filled}/gold")
    assert len(KEYS) == found["files"]


# Objects with the names of folders of others, at several depths.
NESTED = ["a", "a-", "a-/a", "a-/a/b", "a-/a0", "a-/b", "a.", "a/a", "a/a-", "a/a/c", "b", "b/c"]


@pytest.mark.parametrize("keys", ["1", "2", "3", "5"])
@pytest.mark.parametrize("span", [WHOLE, Span(b"a-/", b"a/a-")], ids=["all", "a span"])
def test_keys_with_others_below_them_are_found_however_pages_end(
    fill, tmp_path, monkeypatch, keys, span
):
    client = fill([f"gold/{name}" for name in NESTED])
    monkeypatch.setattr(objectpages, "_KEYS", keys)
    able = probe(client, b"gold/")
    place = f"s3://{client.access.bucket}/gold"
    store = ObjectStore(
        place, client.access, able, spread=SerialEngine().map, sorting=str(tmp_path)
    )
    plan = DigestPlan(Algorithm.XXH3_128)

    scanned = list(store.scan(plan, read=True, span=span))

    rows = [row for one in scanned for row in one.entries.to_pylist()]
    expected = sorted(name for name in NESTED if span.contains(name.encode()))
    assert expected == [row["path"] for row in rows]
    assert [len(f"gold/{name}") for name in expected] == [row["size"] for row in rows]
    assert all(row["version_id"] for row in rows)
    listed = [
        key for page in client.list_current(b"gold/") for key in page.column("key").to_pylist()
    ]
    assert keys == "5" or len(listed) < len(NESTED)
