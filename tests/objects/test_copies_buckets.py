"""`copies` in buckets: by size and etag, reading only what these leave open."""

from __future__ import annotations

import os
import tempfile
from functools import partial

import pytest

from support.countingproxy import counting_proxy
from support.mountcleanup import needs_mounts
from support.namespaces import become
from support.warmcommands import Shell

KEYS = {"gold/a": b"alpha" * 100, "gold/b": b"beta!" * 100, "gold/c": b"gamma" * 77}


@pytest.fixture
def put(objectserver, bucket):
    with objectserver.client() as s3:
        yield lambda key, body: s3.put_object(Bucket=bucket, Key=key, Body=body)


@pytest.fixture
def ask(objectserver, tmp_path):
    """Run a command as JSON: its exit code, and what it said."""

    def run(*words, endpoint=""):
        shell = objectserver.shell(tmp_path / "home", endpoint=endpoint)
        done = shell.call(*words, "--format", "json")
        return done.code, done.said

    return run


@pytest.fixture
def gold(bucket, put, ask):
    for key, data in KEYS.items():
        put(key, data)
    assert 0 == ask("register", "faces", f"s3://{bucket}/gold")[0]
    return bucket


def multipart(server, bucket, key, data):
    with server.client() as s3:
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        where = {"Bucket": bucket, "Key": key, "UploadId": upload}
        etag = s3.upload_part(**where, PartNumber=1, Body=data)["ETag"]
        parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
        s3.complete_multipart_upload(**where, MultipartUpload=parts)


def test_copies_elsewhere_are_found_and_only_suspects_are_read(objectserver, gold, put, ask):
    put("work/renamed", KEYS["gold/a"])
    put("work/same-size", b"other" * 100)
    put("work/else", b"x")
    put("gold-not/b", KEYS["gold/b"])
    multipart(objectserver, gold, "work/parts", KEYS["gold/c"])
    with counting_proxy(objectserver.endpoint) as proxy:
        code, result = ask("copies", f"s3://{gold}", endpoint=proxy.endpoint)
        read = {one.request.key for one in proxy.reads()}
    assert (3, True) == (code, result["complete"])
    found = {one["path"]: (one["original"], one["kind"], one["bytes"]) for one in result["copies"]}
    here = f"s3://{gold}"
    assert {
        f"{here}/work/renamed": (f"{here}/gold/a", "exact", 500),
        f"{here}/gold-not/b": (f"{here}/gold/b", "exact", 500),
        f"{here}/work/parts": (f"{here}/gold/c", "exact", 385),
    } == found
    assert {b"work/parts"} == read
    assert (1, 5, 4) == (result["read"], result["scanned"], result["candidates"])
    assert 1385 == result["bytes"] == result["reclaimable"]
    assert {"DG201"} == {one["code"] for one in result["findings"]}
    assert any(one["path"] == f"{here}/gold" for one in result["skipped"])


def test_every_version_of_a_key_costs_and_a_copy_that_goes_is_resolved(objectserver, gold, ask):
    with objectserver.client() as s3:
        for body in (KEYS["gold/a"], KEYS["gold/a"], b"now something else"):
            s3.put_object(Bucket=gold, Key="work/x", Body=body)
        code, result = ask("copies", f"s3://{gold}/work")
        if objectserver.name == "seaweedfs":  # it is not asked for versions, and that is said
            assert any("older versions" in one["reason"] for one in result["skipped"])
            return
        (found,) = result["findings"]
        (copy,) = result["copies"]
        assert (3, 500, 1000) == (code, copy["bytes"], copy["reclaimable"])
        assert (2, False) == tuple(found["evidence"][name] for name in ("versions", "current"))
        for row in s3.list_object_versions(Bucket=gold, Prefix="work/x")["Versions"][1:]:
            s3.delete_object(Bucket=gold, Key="work/x", VersionId=row["VersionId"])
    assert 0 == ask("copies", f"s3://{gold}/work")[0]
    _, left = ask("findings", "list")
    assert [] == left["findings"]


@pytest.fixture
def shared_home():
    """A directory that every user reaches: pytest's are private."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o777)
        yield os.path.realpath(top)


@needs_mounts
def test_path_of_a_copy_is_told_to_who_found_it_and_to_root_alone(
    objectserver, bucket, put, shared_home
):
    def asked(uid, *words):
        environment = {**objectserver.environment(), "TMPDIR": shared_home}
        entry = partial(become, uid, shared_home) if uid else None
        home = os.path.join(shared_home, "home")
        shell = Shell(home, shared_home, environment=tuple(environment.items()), entry=entry)
        return shell.call(*words, "--format", "json").said

    for key, data in KEYS.items():
        put(key, data)
    finder, stranger = 23456, 23457
    asked(finder, "register", "faces", f"s3://{bucket}/gold")
    put("work/mine", KEYS["gold/a"])
    [found] = asked(finder, "copies", f"s3://{bucket}/work")["findings"]
    told = {uid: asked(uid, "findings", "list")["findings"] for uid in (0, finder, stranger)}
    path = f"s3://{bucket}/work/mine"
    assert {0: path, finder: path, stranger: ""} == {
        uid: one["path"] for uid, [one] in told.items()
    }
    assert {found["id"]} == {one["id"] for [one] in told.values()}
    assert "who found it" in told[stranger][0]["message"]


def test_gold_in_directories_is_found_by_reading(gold, put, ask, tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    (local / "x").write_bytes(b"only here" * 9)
    assert 0 == ask("register", "other", local)[0]
    put("work/x", b"only here" * 9)
    put("work/y", b"not here " * 9)
    code, result = ask("copies", f"s3://{gold}/work")
    (copy,) = result["copies"]
    assert (3, f"s3://{gold}/work/x", f"{local}/x") == (code, copy["path"], copy["original"])
    assert 2 == result["read"]


def test_copies_of_objects_in_directories_are_found(gold, ask, tmp_path):
    (tmp_path / "home-of-alice").mkdir()
    path = tmp_path / "home-of-alice" / "mine"
    path.write_bytes(KEYS["gold/c"])
    code, result = ask("copies", path.parent)
    (copy,) = result["copies"]
    assert (3, str(path), f"s3://{gold}/gold/c") == (code, copy["path"], copy["original"])


@pytest.mark.parametrize("objectserver", ["ministack"], indirect=True)
def test_what_cannot_be_done_in_buckets_is_refused_with_a_hint(gold, ask, tmp_path):
    for words in (
        ("reclaim", f"s3://{gold}/work"),
        ("copies", f"s3://{gold}/work", "--partial"),
        ("copies", f"s3://{gold}/work", tmp_path),
    ):
        code, said = ask(*words)
        assert (2, True) == (code, f"dataguard copies s3://{gold}/work" in said["hint"]), words
    assert 10 == ask("copies", f"s3://{gold}-not-there")[0]
