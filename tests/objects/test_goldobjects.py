"""`gold://` over buckets: pinned bytes, whatever became of the keys since."""

from __future__ import annotations

import multiprocessing
import os
import pickle

import pytest

from dataguard.hooks import goldreader
from dataguard.hooks.goldfilesystem import GoldFileSystem
from dataguard.stores.pinnedsource import ChangedGoldError
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
