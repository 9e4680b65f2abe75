"""The node cache filled from buckets: each byte is fetched once, and none that is not pinned."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from dataguard.errors import ConflictError, DataguardError
from dataguard.model.digest import Algorithm
from dataguard.model.objects import Pin
from dataguard.stores.cachebatch import fill_many
from dataguard.stores.objectfetch import object_contents, pinned
from support.caches import cache_at, wanted_of
from support.countingproxy import Cut, Flip
from support.objectcaches import client_of

TESTS = Path(__file__).resolve().parents[1]
MIB = 1 << 20
LONG = pytest.mark.long


class Bench:
    """A pinned object behind a proxy that counts, and processes of a reader that need it."""

    def __init__(self, server, proxy, bucket, place, mib):
        self.server, self.proxy, self.bucket, self.place = server, proxy, bucket, place
        block = os.urandom(MIB)
        self.data = b"".join(n.to_bytes(8, "big") + block[8:] for n in range(mib))
        self.wanted = wanted_of(self.data)
        with server.client() as s3:
            put = s3.put_object(Bucket=bucket, Key="train/large", Body=self.data)
        self.version, self.etag = put.get("VersionId", ""), put["ETag"].strip('"')

    @property
    def pin(self):
        return Pin(b"train/large", self.version or None, self.etag, self.wanted.size)

    def start(self, *more):
        paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
        own = self.server.environment(self.server.reader, self.proxy.endpoint)
        words = (self.version, self.etag, str(self.wanted.size), str(self.wanted), *more)
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "support.objectcaches", str(self.place), self.bucket),
                *("train/large", *words),
            ],
            env={**os.environ, **own, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )

    def all_filled(self, count):
        processes = [self.start() for _ in range(count)]
        try:
            found = {one.communicate(timeout=240)[0].strip() for one in processes}
        finally:
            for one in processes:
                one.kill()
                one.wait()
        assert [0] * count == [one.returncode for one in processes]
        (path,) = found
        assert self.data == Path(path).read_bytes()


@pytest.fixture
def bench(objectserver, proxies, bucket, tmp_path):
    def make(mib):
        proxy = proxies(objectserver.endpoint)
        return Bench(objectserver, proxy, bucket, tmp_path / "cache", mib)

    return make


@pytest.mark.parametrize("mib", [16, pytest.param(1024, marks=LONG)])
def test_six_processes_fetch_an_object_once(bench, mib):
    large = bench(mib)
    large.all_filled(6)
    assert large.proxy.data_bytes() <= 1.02 * large.wanted.size


def test_what_a_killed_process_fetched_is_not_fetched_again(bench):
    large = bench(8)
    first = large.start(str(5 * MIB))
    try:
        assert "stalled\n" == first.stdout.readline()
    finally:
        first.kill()
        first.communicate()
    (part,) = (large.place / "part").iterdir()
    there = part.stat().st_size
    assert there >= 5 * MIB

    large.all_filled(3)
    if "ranges of versions" in large.server.lacks:
        return  # all of it is sent again, and what is there is passed over
    asked = large.proxy.asked("GET")[1:]
    assert [f"bytes={there}-{large.wanted.size - 1}"] == [
        one.request.headers.get("range") for one in asked
    ]
    assert [large.wanted.size - there] == [one.sent for one in asked]


def test_overwritten_object_is_never_served_for_the_pinned_one(bench):
    large = bench(1)
    with large.server.client() as s3:
        s3.put_object(Bucket=large.bucket, Key="train/large", Body=b"x" * large.wanted.size)
    with (
        cache_at(large.place) as cache,
        large.server.acting(large.server.reader, large.proxy.endpoint),
        closing(client_of(large.bucket)) as client,
    ):
        fetch = pinned(client, large.pin)
        if large.version:
            assert large.data == Path(cache.fill(large.wanted, fetch)).read_bytes()
        else:
            with pytest.raises(ConflictError):
                cache.fill(large.wanted, fetch)
            assert cache.path_of(large.wanted) is None


@pytest.mark.parametrize("at", [0, 500_000])
def test_bytes_that_were_changed_on_their_way_are_refused(bench, at):
    large = bench(1)
    large.proxy.spoil(Flip(at=at), key=b"train/large")
    with (
        cache_at(large.place) as cache,
        large.server.acting(large.server.reader, large.proxy.endpoint),
        closing(client_of(large.bucket)) as client,
    ):
        fetch = pinned(client, large.pin)
        with pytest.raises(DataguardError):
            cache.fill(large.wanted, fetch)
        assert cache.path_of(large.wanted) is None
        assert large.data == Path(cache.fill(large.wanted, fetch)).read_bytes()


def test_body_that_breaks_off_is_gone_on_with(bench):
    large = bench(2)
    large.server.needs("ranges of versions")
    large.proxy.spoil(Cut(after=MIB), key=b"train/large")
    large.all_filled(1)
    assert large.proxy.data_bytes() <= large.wanted.size + 65_536


def test_many_objects_are_filled_by_the_rows_of_their_sheet(objectserver, bucket, tmp_path):
    contents = {f"a b/{n:03}?[x]".encode(): f"object {n}".encode() * n for n in range(60)}
    rows = []
    with objectserver.client() as s3:
        for key, body in contents.items():
            put = s3.put_object(Bucket=bucket, Key=f"gold/{key.decode()}", Body=body)
            rows.append(
                {
                    "path": key.decode(),
                    "path_raw": None,
                    "size": len(body),
                    "digest": wanted_of(body, Algorithm.SHA256).digest,
                    "version_id": put.get("VersionId"),
                    "etag": put["ETag"].strip('"'),
                }
            )
    (batch,) = pa.Table.from_pylist(rows).to_batches()
    with (
        cache_at(tmp_path / "cache") as cache,
        objectserver.acting(objectserver.reader),
        closing(client_of(bucket)) as client,
    ):
        items = object_contents(client, b"gold/", [batch], Algorithm.SHA256)
        assert {None} == {one.problem for one in fill_many(cache, items)}
        for body in filter(None, contents.values()):
            path = cache.path_of(wanted_of(body, Algorithm.SHA256))
            assert body == Path(path).read_bytes()
