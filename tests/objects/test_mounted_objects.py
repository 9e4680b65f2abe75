"""Objects of a bucket, read by their pins into the node cache and mounted from there."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import xxhash

from dataguard.errors import ConflictError, WrongBytesError
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.objects import ObjectPlace
from dataguard.model.tree import Looks
from dataguard.mounts.cas import CasBackend
from dataguard.stores.cachebatch import fill_many
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectfetch import object_contents
from dataguard.stores.s3access import access_to
from dataguard.stores.trees import stage, tree_of
from support.cachedtrees import needs_images
from support.caches import cache_at
from support.entrybatches import batch_of, file
from support.mountcleanup import swept

pytestmark = needs_images

XXH3 = Algorithm.XXH3_128
MOMENT = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)
CONTENTS = {
    b"a": b"first",
    b"empty": b"",
    b"deep/er/?[*] \xc3\xa9": b"odd name",
    b"large": bytes(range(256)) * 40_000,
}


@pytest.fixture
def client(objectserver, bucket):
    with objectserver.acting():
        access = access_to(bucket, ObjectPlace(), None, os.environ)
        with closing(ObjectClient(access)) as client:
            yield client


@pytest.fixture
def rows(client):
    """A version's rows beside those of an object sheet; every object is overwritten after it."""
    written = {path: client.put(b"gold/" + path, data) for path, data in CONTENTS.items()}
    for path in CONTENTS:
        client.put(b"gold/" + path, b"overwritten")
    return rows_of(CONTENTS, written)


def rows_of(contents, written):
    plain = batch_of([file(path, data) for path, data in contents.items()], sheet=False, scan=False)
    ordered = [written[path] for path in sorted(contents)]
    return pa.RecordBatch.from_arrays(
        [
            *plain.columns,
            pa.array([one.version_id for one in ordered]),
            pa.array([one.etag for one in ordered]),
            pa.array([int(MOMENT.timestamp() * 1000) * 10**6] * len(ordered), pa.int64()),
            pa.array([0o100000] * len(ordered), pa.int32()),
        ],
        names=[*plain.schema.names, "version_id", "etag", "mtime_ns", "mode"],
    )


def filled(tmp_path, client, rows):
    with cache_at(tmp_path / "cache") as cache:
        items = object_contents(client, b"gold/", [rows], XXH3)
        return [one.problem for one in fill_many(cache, items) if one.problem is not None]


def test_mount_shows_what_is_pinned_and_not_what_came_after(tmp_path, client, rows):
    assert [] == filled(tmp_path, client, rows)
    looks = Looks(mtime_ns=1)
    tree = tree_of(str(tmp_path / "cache"), RootDigest("0" * 64), XXH3, sheet="s", looks=looks)
    stage(tree, looks, lambda: iter([rows]))
    target = os.path.realpath(tmp_path) + "/faces"
    with swept(tmp_path.resolve()):
        CasBackend().make(tree.image, target)
        for path, content in CONTENTS.items():
            place = os.path.join(os.fsencode(target), path)
            with open(place, "rb") as stream:
                assert content == stream.read()
            assert MOMENT.timestamp() == os.stat(place).st_mtime
            assert 0o100444 == os.stat(place).st_mode


def test_object_that_is_not_what_the_manifest_says_is_never_kept(tmp_path, client):
    written = {b"a": client.put(b"gold/a", b"other")}
    rows = rows_of({b"a": b"named"}, written)
    (problem,) = filled(tmp_path, client, rows)
    assert isinstance(problem, WrongBytesError)
    name = xxhash.xxh3_128_hexdigest(b"named")
    assert not (tmp_path / "cache" / "xxh3-128" / name[:2] / name).exists()


def test_object_without_a_version_that_was_overwritten_is_refused(
    tmp_path, objectserver, make_bucket
):
    plain = make_bucket(objectserver, versioned=False)
    with objectserver.acting():
        access = access_to(plain, ObjectPlace(), None, os.environ)
        with closing(ObjectClient(access)) as client:
            written = {b"a": client.put(b"gold/a", b"first")}
            client.put(b"gold/a", b"other")
            (problem,) = filled(tmp_path, client, rows_of({b"a": b"first"}, written))
    assert isinstance(problem, ConflictError)
