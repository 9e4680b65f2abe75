from __future__ import annotations

from unicodedata import category

import pytest

from contracts.store import PLAN, StoreContract, collect
from dataguard.core.objectplaces import prefix_of
from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.entry import Obstacle
from dataguard.stores.local import exclusion
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectprobe import probe
from dataguard.stores.objectreplies import failure
from dataguard.stores.objects import ObjectStore
from dataguard.stores.s3access import Access


@pytest.fixture
def acting(objectserver):
    with objectserver.acting(objectserver.admin):
        yield objectserver


@pytest.fixture
def fill(acting, make_bucket):
    """Make a bucket with these objects below `gold/`; returns a client of it."""
    clients = []

    def fill(tree, *, versioned=True):
        access = Access(make_bucket(acting, versioned=versioned), acting.endpoint)
        client = ObjectClient(access)
        clients.append(client)
        client.put(b"gold-", b"beside")
        for path, content in tree.items():
            client.put(b"gold/" + path, content)
        return client

    yield fill
    for client in clients:
        client.close()


@pytest.fixture
def open_store(tmp_path):
    def open_store(client, *, excluded=None, by_checksum=False):
        able = probe(client, b"")
        return ObjectStore(
            f"s3://{client.access.bucket}/gold",
            client.access,
            able,
            spread=SerialEngine().map,
            sorting=str(tmp_path),
            excluded=excluded,
            by_checksum=by_checksum,
        )

    return open_store


class TestContract(StoreContract):
    objects = True

    @pytest.fixture(autouse=True)
    def server(self, objectserver):
        self.name = objectserver.name

    def fitted(self, tree):
        return {
            path: content
            for path, content in tree.items()
            if isinstance(content, bytes) and self._is_key(path)
        }

    def _is_key(self, path):
        try:
            text = path.decode()
        except UnicodeDecodeError:
            return False
        if self.name == "ministack":  # loses what its own framework cannot put into a path
            return all(category(character) != "Cc" for character in text)
        # One that takes keys for paths, and names of at most 255 bytes.
        return not any(category(c) == "Cc" for c in text) and "\\" not in text

    @pytest.fixture
    def made(self, fill, open_store):
        return lambda tree: open_store(fill(tree, versioned=False))

    @pytest.fixture
    def absent(self, acting, fill, open_store):
        store = open_store(fill({}))
        return ObjectStore(
            "s3://no-such-bucket/gold",
            Access("no-such-bucket", acting.endpoint),
            store.capabilities,
            spread=SerialEngine().map,
            sorting=".",
        )

    def remove(self, store, path):
        store.client.delete(prefix_of(store.place) + path)

    def snapshot(self, store):
        return [page.to_pylist() for page in store.client.list_versions(b"")]


def test_versions_are_told_by_every_scan(fill, open_store):
    client = fill({b"a": b"1", b"d/b": b"2"})
    wanted = {b"a": client.head(b"gold/a").version_id, b"d/b": client.head(b"gold/d/b").version_id}
    store = open_store(client)

    for read in (True, False):
        assert wanted == collect(store.scan(PLAN, read=read)).column("version_id")


def test_what_was_scanned_is_read_though_it_was_overwritten_since(fill, open_store):
    client = fill({b"a": b"one"})
    store = open_store(client)
    listed = [piece.entries for piece in store.scan(PLAN, read=False)]
    whole = collect(store.scan(PLAN, read=True)).column("digest")
    client.put(b"gold/a", b"two")

    assert whole == collect(store.read(listed, PLAN)).column("digest")
    assert whole != collect(store.scan(PLAN, read=True)).column("digest")


def test_deleted_objects_and_old_versions_are_no_entries(fill, open_store):
    client = fill({b"a": b"1", b"b": b"2", b"c": b"3"})
    client.put(b"gold/a", b"4")
    client.delete(b"gold/b")

    assert [b"a", b"c"] == collect(open_store(client).scan(PLAN, read=True)).paths


def test_an_object_with_the_name_of_the_prefix_is_no_entry(fill, open_store):
    client = fill({b"": b"", b"a": b"1"})

    assert [b"a"] == collect(open_store(client).scan(PLAN, read=False)).paths


def test_patterns_leave_out_keys_as_they_leave_out_paths(fill, open_store):
    client = fill({b"a.tmp": b"", b"a": b"1", b"out/b": b"2", b"d/out/c": b"3", b"d/c": b"4"})
    store = open_store(client, excluded=exclusion(("*.tmp", "out/")))

    assert [b"a", b"d/c"] == collect(store.scan(PLAN, read=False)).paths


def test_keys_of_more_than_a_page_come_in_order_where_the_server_has_its_own(fill, open_store):
    names = {b"d%s%03d" % (mark, n): b"" for mark in (b"/", b"-", b" ") for n in range(400)}
    store = open_store(fill(names))

    assert sorted(names) == collect(store.scan(PLAN, read=False)).paths


def test_keys_are_taken_to_the_letter(acting, fill, open_store):
    names = [
        b"a//b",
        b"folder/",
        b"q?x[1]",
        b"100%",
        b"a+b",
        b"a b",
        b"a%20b",
        b"#;&=",
        "é/ü".encode(),
    ]
    if acting.name == "seaweedfs":
        names = names[2:]  # two slashes become one, and folders have no content
    store = open_store(fill({name: name for name in names}))
    rows = collect(store.scan(PLAN, read=True))

    assert (sorted(names), []) == (rows.paths, rows.unreadable)


def test_a_checksum_of_the_server_serves_as_digest(ministack, make_bucket, open_store):
    name = make_bucket(ministack)
    with ministack.client(ministack.admin) as boto, ministack.acting(ministack.admin):
        for key in ("gold/a", "gold/b", "gold/c"):
            boto.put_object(Bucket=name, Key=key, Body=key.encode(), ChecksumAlgorithm="SHA256")
        store = open_store(ObjectClient(Access(name, ministack.endpoint)), by_checksum=True)
        plan = DigestPlan(Algorithm.SHA256)
        pieces = list(store.scan(plan, read=True))
        read = collect(open_store(store.client).scan(plan, read=True), plan)

    assert read.column("digest") == collect(pieces, plan).column("digest")
    # The smallest is read, to see whether the server means what it says.
    assert (1, 2) == (pieces[0].files_read, pieces[0].by_checksum)
    assert {"FULL_OBJECT"} == set(read.column("checksum_type").values())


def test_objects_that_are_archived_are_listed_as_such(fill, open_store, monkeypatch):
    client = fill({b"a": b"1", b"b": b"2"})
    store = open_store(client)
    made = ObjectClient.failure_of

    def archived(self, reply, key):
        made(self, reply, key)
        return failure(403, b"<Code>InvalidObjectState</Code>", "it")

    monkeypatch.setattr(ObjectClient, "failure_of", archived)
    listed = [piece.entries for piece in store.scan(PLAN, read=False)]
    client.delete(b"gold/a", client.head(b"gold/a").version_id)
    rows = collect(store.read(listed, PLAN))

    assert [b"b"] == rows.paths
    assert [(b"a", Obstacle.ARCHIVED)] == [(one.path, one.obstacle) for one in rows.unreadable]
