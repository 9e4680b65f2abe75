"""The job that has S3 compute checksums where objects lie: exactly the pinned versions, or none."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from urllib.parse import unquote

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from support.countingproxy import counting_proxy

ROLE = "arn:aws:iam::111122223333:role/audits"
ODD = ("a b", "ü,\"'\n", "100%/+", "d//e")


@pytest.fixture
def gold(gold_at, ministack):
    gold = gold_at(ministack)
    for name in ODD:
        gold.put(name, name.encode())
    assert gold.run("register", "faces", gold.place, "--append", "--reason", "odd")[0] == 0
    return gold


def job(gold, target, *words):
    return gold.run("audit", "faces", "--level", "3", "--batch-job", str(target), *words)


def rows(target):
    with open(target / "manifest.csv", newline="") as file:
        return [(bucket, unquote(key), version) for bucket, key, version in csv.reader(file)]


def test_the_manifest_names_exactly_the_pinned_versions(gold, tmp_path):
    pinned = {name: gold.version(name) for name in ("a", "d/b", "d/c", *ODD)}
    gold.put("a", b"another content")
    gold.put("new", b"new")
    gold.delete("d/b")
    code, told = job(gold, tmp_path / "job")
    assert (0, 7, False, False) == (code, told["objects"], told["submitted"], told["complete"])
    wanted = {(gold.bucket, f"gold/{name}", version) for name, version in pinned.items()}
    assert wanted == {*rows(tmp_path / "job")}
    lines = (tmp_path / "job" / "manifest.csv").read_bytes()
    assert [len(lines), hashlib.md5(lines, usedforsecurity=False).hexdigest()] == [
        told["manifest_size"],
        told["manifest_md5"],
    ]


def test_the_job_is_what_the_service_takes(gold, tmp_path):
    place = ("--batch-place", "s3://ops/audits/faces", "--batch-role", ROLE)
    _, told = job(gold, tmp_path / "job", *place)
    made = json.loads((tmp_path / "job" / "job.json").read_text())
    model = Session().get_service_model("s3control").operation_model("CreateJob")
    assert "" == ParamValidator().validate(made, model.input_shape).generate_report()
    assert made == told["document"]
    asked = made["Operation"]["S3ComputeObjectChecksum"]
    assert {"ChecksumAlgorithm": "XXHASH128", "ChecksumType": "FULL_OBJECT"} == asked
    manifest = made["Manifest"]["Location"]
    assert "arn:aws:s3:::ops/audits/faces/manifest.csv" == manifest["ObjectArn"]
    assert ("111122223333", told["manifest_md5"]) == (made["AccountId"], manifest["ETag"])
    assert ("arn:aws:s3:::ops", "audits/faces") == (
        made["Report"]["Bucket"],
        made["Report"]["Prefix"],
    )
    assert any("s3api put-object --bucket ops" in one for one in told["apply"])


def test_no_request_is_made_and_nothing_is_recorded(gold, tmp_path):
    _, before = gold.run("show", "faces")
    with (
        counting_proxy(gold.server.endpoint) as proxy,
        gold.server.acting(gold.server.admin, endpoint=proxy.endpoint),
    ):
        assert 0 == job(gold, tmp_path / "job")[0]
        assert () == proxy.seen
    assert before == gold.run("show", "faces")[1]


def test_a_dry_run_writes_nothing(gold, tmp_path):
    code, told = job(gold, tmp_path / "job", "--dry-run")
    assert (0, 7, True, None) == (code, told["objects"], told["dry_run"], told["manifest_md5"])
    assert ["home"] == os.listdir(tmp_path)


def test_what_is_there_is_not_replaced(gold, tmp_path):
    (tmp_path / "job").mkdir()
    assert 11 == job(gold, tmp_path / "job")[0]
    assert [] == os.listdir(tmp_path / "job")
    assert {"home", "job"} == {*os.listdir(tmp_path)}


def test_nothing_is_left_of_a_job_that_could_not_be_completed(gold, tmp_path):
    for sheet in (tmp_path / "home" / "sheets").rglob("*.parquet"):
        sheet.chmod(0o644)
        sheet.write_bytes(b"damaged")
    assert 13 == job(gold, tmp_path / "job")[0]
    assert ["home"] == os.listdir(tmp_path)


def test_neither_the_files_nor_the_report_may_lie_in_gold(gold, tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    (local / "x").write_bytes(b"x")
    assert 0 == gold.run("register", "local", str(local))[0]
    (tmp_path / "link").symlink_to(local)
    for target in (local / "job", tmp_path / "link" / "job"):
        assert 2 == job(gold, target)[0]
    assert 2 == job(gold, tmp_path / "job", "--batch-place", f"{gold.place}/audits")[0]
    assert ["x"] == os.listdir(local)
    assert not (tmp_path / "job").exists()


def test_a_digest_that_the_service_does_not_compute_is_refused(gold, tmp_path):
    assert 0 == gold.run("register", "other", gold.place, "--digest", "blake3")[0]
    words = ("--level", "3", "--batch-job", str(tmp_path / "job"))
    code, told = gold.run("audit", "other", *words)
    assert (2, True) == (code, "blake3" in told["message"])


def test_objects_that_no_version_holds_are_refused(gold_at, ministack, tmp_path):
    gold = gold_at(ministack, versioned=False)
    code, told = job(gold, tmp_path / "job")
    assert (2, True) == (code, "unpinned" in told["message"])


@pytest.mark.parametrize(
    "words",
    [
        ("faces", "--level", "4", "--batch-job", "job"),
        ("faces", "--level", "3", "--batch-job", "job", "--slice", "1/2"),
        ("--level", "3", "--batch-job", "job"),
        ("faces", "--level", "3", "--batch-role", ROLE),
    ],
)
def test_a_job_is_asked_for_by_itself(run, words):
    code, told = run("audit", *words)
    assert (2, "usage") == (code, told["code"])


def test_a_role_has_to_be_one(gold, tmp_path):
    assert 2 == job(gold, tmp_path / "job", "--batch-role", "audits")[0]
    assert not (tmp_path / "job").exists()
