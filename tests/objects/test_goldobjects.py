"""`gold://` over buckets: pinned bytes, whatever became of the keys since."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import threading
from dataclasses import replace

import pytest

from dataguard.hooks import goldreader
from dataguard.hooks.goldfilesystem import GoldFileSystem
from dataguard.stores.objectwire import Wire
from dataguard.stores.pinnedsource import ChangedGoldError
from support.countingproxy import Before, Reply
from support.warmcommands import Shell

HEAD = "faces@1"
LARGE = os.urandom(3 << 20)
KEYS = {
    "gold/train/0001.jpg": b"picture",
    "gold/br[1]?.txt": b"brackets",
    "gold/empty": b"",
    "gold/large": LARGE,
    "gold/straße/ü": b"umlaut",
}


def register(*words):
    """In a process of its own, which takes its connections along."""
    done = Shell(os.environ["DATAGUARD_HOME"]).call("register", "faces", *words, "-q")
    assert 0 == done.code, done


class Bucket:
    """A registered bucket, and whoever writes into it."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        for key, data in KEYS.items():
            self.put(key, data)

    def put(self, key, data):
        with self.server.client() as s3:
            s3.put_object(Bucket=self.name, Key=key, Body=data)

    def fs(self, **options):
        GoldFileSystem.clear_instance_cache()
        return GoldFileSystem(**options)


@pytest.fixture
def gold(objectserver, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    goldreader._versions.cache_clear()
    found = Bucket(objectserver, bucket)
    with objectserver.acting():
        register(f"s3://{bucket}/gold")
    with objectserver.acting(objectserver.reader):
        yield found
    GoldFileSystem.clear_instance_cache()
    goldreader._versions.cache_clear()


def test_every_object_is_listed_and_read(gold):
    for verify in (False, True):
        fs = gold.fs(verify=verify)
        expected = {key.replace("gold", HEAD, 1): data for key, data in KEYS.items()}
        assert sorted(expected) == sorted(fs.find(HEAD))
        assert expected == {path: fs.cat_file(path) for path in expected}
        assert expected == {path: fs.open(path).read() for path in expected}
        assert LARGE[1 << 20 : -5] == fs.cat_file(f"{HEAD}/large", 1 << 20, -5)
    assert b"brackets" == fs.cat(f"gold://{HEAD}/br[1]?.txt")
    assert len(LARGE) == fs.size(f"{HEAD}/large")


def test_overwritten_objects_are_read_as_they_were(gold):
    for key, data in KEYS.items():
        gold.put(key, data[::-1] + b"longer")
    fs = gold.fs()
    for key, data in KEYS.items():
        path = key.replace("gold", HEAD, 1)
        assert (data, data[:3]) == (fs.cat_file(path), fs.cat_file(path, 0, 3))


@pytest.fixture
def proxied(gold, proxies):
    """The bucket behind a proxy."""
    proxy = proxies(gold.server.endpoint)
    with gold.server.acting(gold.server.reader, proxy.endpoint):
        yield gold, proxy


RANGES = [("large", 0, 9), ("train/0001.jpg", -4, None), ("large", 1 << 20, 2 << 20)]
RANGES += [("straße/ü", None, None), ("empty", 0, 4), ("large", -5, -1), ("large", 7, 7)]


def cat_ranges(fs, **options):
    names, *bounds = (list(column) for column in zip(*RANGES, strict=True))
    return fs.cat_ranges([f"{HEAD}/{name}" for name in names], *bounds, **options)


def test_ranges_are_asked_for_together(proxied):
    gold, proxy = proxied
    together = threading.Barrier(4)
    for key in (b"gold/large", b"gold/train/0001.jpg", "gold/straße/ü".encode()):
        times = 2 if key == b"gold/large" else 1
        proxy.spoil(Before(lambda: together.wait(60)), key=key, times=times)
    found = cat_ranges(gold.fs(), on_error="raise")
    assert [KEYS[f"gold/{name}"][start:end] for name, start, end in RANGES] == found
    assert (False, 6) == (together.broken, len(proxy.reads()))


def test_a_range_that_cannot_be_read_is_an_error_in_its_place(proxied):
    gold, proxy = proxied
    fs, place = gold.fs(), b"gold/train/0001.jpg"
    for fault, kind in ((Reply(403), PermissionError), (Reply(404), ChangedGoldError)):
        proxy.spoil(fault, key=place)
        found = cat_ranges(fs)
        assert kind is type(found[1])
        assert KEYS["gold/large"][-5:-1] == found[5]
        proxy.spoil(fault, key=place)
        with pytest.raises(kind):
            cat_ranges(fs, on_error="raise")


def test_ranges_of_a_server_that_is_gone_are_errors(proxied):
    gold, proxy = proxied
    fs = gold.fs()
    client = fs._gold.versions.open(HEAD).replicas[0].bytes._client()
    client.__dict__["_wire"] = Wire(replace(client.access.peer, port=1), pause=lambda _: None)
    found = cat_ranges(fs)
    assert [OSError] * len(RANGES) == [type(one) for one in found]
    assert {errno.EHOSTUNREACH} == {one.errno for one in found}
    assert not proxy.reads()


def test_an_object_overwritten_while_it_is_read_is_no_torn_read(gold):
    with gold.fs().open(f"{HEAD}/large") as file:
        first = file.read(1 << 19)
        gold.put("gold/large", os.urandom(len(LARGE)))
        assert LARGE == first + file.read()


def test_unpinned_objects_that_are_replaced_are_an_error(
    objectserver, make_bucket, tmp_path, monkeypatch
):
    name = make_bucket(objectserver, versioned=False)
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    goldreader._versions.cache_clear()
    gold = Bucket(objectserver, name)
    with objectserver.acting():
        register(f"s3://{name}/gold")
        with gold.fs().open(f"{HEAD}/large") as file:
            file.read(1 << 19)
            gold.put("gold/large", os.urandom(len(LARGE)))
            with pytest.raises(ChangedGoldError):
                file.read()
        with pytest.raises(ChangedGoldError, match="dataguard audit faces@1"):
            gold.fs().cat_file(f"{HEAD}/large")


def read_one(fs, answers):
    answers.put(fs.cat_file(f"{HEAD}/large", 5, 10))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_after_the_parent_did(gold, method):
    fs = gold.fs()
    fs.cat_file(f"{HEAD}/large")
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    workers = [context.Process(target=read_one, args=(fs, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        assert [LARGE[5:10]] * 3 == [answers.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(60)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()


def test_nothing_secret_is_pickled(gold):
    fs = gold.fs()
    fs.cat_file(f"{HEAD}/empty")
    reader = gold.server.reader
    for text in (pickle.dumps(fs), fs.to_json().encode()):
        assert reader.secret_key.encode() not in text
        assert reader.access_key.encode() not in text


def test_nothing_writes_into_the_bucket(gold):
    with gold.server.acting():  # who could
        fs = gold.fs()
        for act in (
            lambda: fs.pipe_file(f"{HEAD}/large", b"x"),
            lambda: fs.rm(f"{HEAD}/large"),
            lambda: fs.call_s3("put_object"),
            lambda: fs.open(f"{HEAD}/new", "wb"),
        ):
            with pytest.raises(OSError, match="read-only"):
                act()
    with gold.server.client() as s3:
        listed = s3.list_objects_v2(Bucket=gold.name)["Contents"]
    assert sorted(KEYS) == sorted(one["Key"] for one in listed)


def test_a_local_replica_is_read_first(gold, tmp_path):
    local = tmp_path / "local"
    for key, data in KEYS.items():
        place = local / key.removeprefix("gold/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    register(str(local), "--replica")
    fs = gold.fs()
    nearest, far = fs._gold.versions.open(HEAD).replicas
    assert (str(local), f"s3://{gold.name}/gold") == (nearest.bytes.place, far.bytes.place)
    (local / "empty").write_bytes(b"no longer")
    assert (LARGE, b"") == (fs.cat_file(f"{HEAD}/large"), fs.cat_file(f"{HEAD}/empty"))
