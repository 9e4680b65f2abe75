"""Outputs of runs in a bucket: complete or absent, nobody's gold, and known again later."""

from __future__ import annotations

import os

import pytest

from support.bucketruns import BucketRuns

LARGE = 40 << 20


@pytest.fixture
def runs(tmp_path, objectserver, bucket):
    return BucketRuns(tmp_path, objectserver, bucket)


def test_outputs_are_there_with_their_versions_when_a_run_is_complete(runs):
    done = runs.run(
        "mkdir -p $DATAGUARD_OUTPUTS/d/e && cd $DATAGUARD_OUTPUTS && "
        "printf one >a && printf two >d/b && : >empty && ln -s a link",
        "--run-id",
        "r1",
    )
    below = "out/runs/r1"
    found = runs.objects()
    assert {
        f"{below}/a": b"one",
        f"{below}/d/b": b"two",
        f"{below}/empty": b"",
    }.items() <= found.items()
    assert {f"{below}/run.json", f"{below}/outputs.parquet"} <= set(found)
    assert ("complete", f"s3://{runs.bucket}/{below}") == (done["state"], done["outputs_directory"])
    assert [f"s3://{runs.bucket}/{below}/{name}" for name in ("a", "d/b", "empty")] == [
        one["url"] for one in done["outputs"]
    ]
    assert all(one["version_id"] for one in done["outputs"])
    record = runs.record("r1")
    assert ("complete", 4) == (record["state"], record["output_files"] + 1)
    assert [one["version_id"] for one in done["outputs"]] == [
        one["version_id"] for one in record["files"]
    ]
    assert ("honoured", []) == (record["metadata"]["conditional_writes"], runs.staged())


def test_lineage_knows_an_object_and_whether_it_is_what_the_run_wrote(runs):
    runs.run("printf one >$DATAGUARD_OUTPUTS/a", "--run-id", "r1")
    url = f"{runs.place}/runs/r1/a"
    found = runs.ask("lineage", url)
    assert ("r1", True, url) == (found["runs"][0]["id"], found["unchanged"], found["output"]["url"])
    with runs.server.client(runs.server.trainer) as s3:
        s3.put_object(Bucket=runs.bucket, Key="out/runs/r1/a", Body=b"one")
    assert runs.ask("lineage", url)["unchanged"] is False
    assert f"{runs.place}/runs/r1" == runs.ask("lineage", "r1")["runs"][0]["outputs"]
    runs.ask("lineage", f"{runs.place}/other", code=10)


def test_a_run_does_not_go_where_something_is(runs):
    runs.run("printf one >$DATAGUARD_OUTPUTS/a", "--run-id", "r1")
    with runs.server.client(runs.server.trainer) as s3:
        s3.put_object(Bucket=runs.bucket, Key="out/runs/r2/a", Body=b"theirs")
    before = runs.objects()
    other = BucketRuns.__new__(BucketRuns)
    other.__dict__.update(runs.__dict__, home=str(runs.top / "other"))
    other.ask("register", "faces", str(runs.top / "gold"))
    for name in ("r1", "r2"):
        said = other.run(f"touch {runs.top}/ran", "--run-id", name, code=11)
        assert "--run-id" in said["hint"]
    assert (before, [], False) == (runs.objects(), other.staged(), (runs.top / "ran").exists())


def test_who_may_not_write_starts_no_job(runs):
    said = runs.run(f"touch {runs.top}/ran", "--run-id", "r1", code=12, user=runs.server.reader)
    assert ("denied", {}) == (said["code"], runs.objects())
    assert not (runs.top / "ran").exists()
    assert "failed" == runs.ask("lineage", "r1")["runs"][0]["state"]


@pytest.mark.long
def test_a_job_is_told_a_directory_and_no_credential(runs):
    done = runs.run(
        "cd $DATAGUARD_OUTPUTS; echo $DATAGUARD_OUTPUTS >at; "
        "env | sed -n 's/^\\(AWS_[A-Z0-9_]*\\)=.*/\\1/p' >names",
        "--run-id",
        "r1",
    )
    found = runs.objects()
    assert found["out/runs/r1/at"].startswith(runs.home.encode())
    own = {name for name in {**os.environ, **runs.server.environment()} if name.startswith("AWS_")}
    assert sorted(own) == sorted(found["out/runs/r1/names"].decode().split())
    assert done["exit_code"] == 0


def test_large_outputs_are_uploaded_in_parts(runs):
    runs.run(f"head -c {LARGE} /dev/urandom >$DATAGUARD_OUTPUTS/large", "--run-id", "r1")
    with runs.server.client() as s3:
        head = s3.head_object(Bucket=runs.bucket, Key="out/runs/r1/large")
    assert (LARGE, True, []) == (
        head["ContentLength"],
        head["ETag"].endswith('-3"'),
        runs.uploads(),
    )
    assert runs.ask("lineage", f"{runs.place}/runs/r1/large")["unchanged"] is True


@pytest.mark.long
def test_a_failed_job_leaves_its_outputs_and_says_so(runs):
    done = runs.run("printf one >$DATAGUARD_OUTPUTS/a; exit 7", "--run-id", "r1", code=7)
    assert ("failed", "failed") == (done["state"], runs.record("r1")["state"])
    assert b"one" == runs.objects()["out/runs/r1/a"]


@pytest.fixture
def golden(tmp_path, ministack, make_bucket):
    """A bucket that has gold in it too; one server will do, as names decide."""
    runs = BucketRuns(tmp_path, ministack, make_bucket(ministack))
    with runs.server.client() as s3:
        s3.put_object(Bucket=runs.bucket, Key="gold/a", Body=b"gold")
    runs.ask("register", "pictures", f"s3://{runs.bucket}/gold", user=runs.server.registrar)
    return runs


def test_outputs_never_go_into_gold_whatever_it_is_called(golden):
    name = golden.bucket
    before = golden.objects("")
    places = {
        f"s3://{name}/gold": "DG303",
        f"s3://{name}/gold/": "DG303",
        f"s3a://{name}/gold/deeper": "DG303",
        f"s3n://{name}/gold": "DG303",
        f"s3://{name.upper()}/gold": "DG303",
        f"s3://{name}/out/../gold": "DG504",
        f"s3://{name}//gold": "DG504",
        f"s3://{name}/out%2f..%2fgold": "DG504",
        f"s3://{name}/out\\..\\gold": "DG504",
        f"s3://arn:aws:s3:us-east-1:000000000000:accesspoint/{name}/gold": "DG504",
        f"s3://{name}-s3alias/gold": "DG504",
        f"http://{name}.s3.amazonaws.com/gold": "DG504",
        f"{golden.server.endpoint}/{name}/gold": "DG504",
    }
    asked = [word for place in places for word in ("--output", place)]
    decided = golden.ask("gate", "--input", "faces@1", *asked, code=3)
    outputs = [one for one in decided["checks"] if one["name"] == "output place"]
    assert list(places.values()) == [one["code"] for one in outputs]
    golden.place = f"s3a://{name}/gold/deeper/"
    golden.run(f"touch {golden.top}/ran", code=125)
    golden.place = f"s3://{name}/out/../gold"
    golden.run(f"touch {golden.top}/ran", code=2)
    golden.ask("gate", "--input", "faces@1", "--output", f"s3://{name}/gold-2")
    golden.ask("workspace", "init", "work", "--outputs", f"s3://{name}/gold/x", code=11)
    assert (before, False) == (golden.objects(""), (golden.top / "ran").exists())


def test_gold_of_the_same_name_behind_another_endpoint_is_taken_for_gold(golden, proxies):
    proxy = proxies(golden.server.endpoint)
    golden.place = f"s3://{golden.bucket}/gold"
    assert golden.run("true", code=125, endpoint=proxy.endpoint)["allowed"] is False
    assert not proxy.seen


def test_an_endpoint_that_names_the_bucket_of_gold_is_refused(golden):
    other = f"http://{golden.bucket}.store.example:1"
    said = golden.ask(
        "gate",
        "--input",
        "faces@1",
        "--output",
        "s3://results/out",
        code=3,
        AWS_ENDPOINT_URL=other,
    )
    assert any(golden.bucket in one["reason"] for one in said["checks"] if not one["ok"])


@pytest.mark.long
def test_workspace_sends_its_outputs_to_a_bucket(runs):
    work = str(runs.top / "work")
    runs.ask("workspace", "init", work, "--outputs", f"{runs.place}/")
    words = ("run", "-w", work, "--input", "faces@1", "--run-id", "w1")
    runs.ask(*words, "--", "sh", "-c", "printf one >{out}/a")
    assert b"one" == runs.objects()["out/runs/w1/a"]


def test_diverted_writes_go_to_the_bucket_too(runs):
    gold = runs.top / "gold"
    done = runs.run(f"echo x >{gold}/a; echo y >{gold}/new", "--writes", "route", "--run-id", "r1")
    assert {"modified", "new"} == {one["kind"] for one in done["diverted"]}
    assert b"hello\n" == (gold / "a").read_bytes()
    assert {b"x\n", b"y\n"} <= set(runs.objects().values())
    assert [] == runs.staged()
