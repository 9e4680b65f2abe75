"""Uploads of runs that are killed, spoilt or refused: complete or absent, and gone on with."""

from __future__ import annotations

import os
import random
import signal
from base64 import b64encode

import pytest

from support.bucketruns import BucketRuns
from support.countingproxy import Before, Busy, Cut, Drop, Garble, Lose, Reply, Tell

LARGE = 40 << 20
FAULTS = (Busy(), Drop(), Reply(500))
SCRIPT = "cd $DATAGUARD_OUTPUTS && for i in 1 2 3 4 5 6; do printf $i >f$i; done"
FILES = {f"out/runs/r1/f{i}": str(i).encode() for i in range(1, 7)}


@pytest.fixture
def runs(tmp_path, objectserver, bucket):
    return BucketRuns(tmp_path, objectserver, bucket)


@pytest.fixture
def proxy(objectserver, proxies):
    return proxies(objectserver.endpoint)


def killed_at(runs, proxy, number, *words, **fault):
    """Run a command that gets SIGKILL as its Nth request that writes comes by; whether it did."""
    kill = Before(lambda: os.kill(command.pid, signal.SIGKILL))
    proxy.spoil(kill, skip=number, **{"method": "PUT", **fault})
    with runs.start(*words, endpoint=proxy.endpoint) as command:
        return command.wait() == -signal.SIGKILL


def words_of(runs, script):
    return (
        "run",
        "--input",
        "faces@1",
        "--output",
        runs.place,
        "--run-id",
        "r1",
        "--",
        "sh",
        "-c",
        script,
    )


def check_not_complete(runs):
    found = runs.objects()
    if "out/runs/r1/run.json" in found:
        assert "running" == runs.record("r1")["state"]


def check_complete(runs, files):
    found = runs.objects()
    assert files.items() <= found.items()
    assert {"out/runs/r1/run.json", "out/runs/r1/outputs.parquet"} <= set(found)
    assert len(files) + 2 == len(found)
    assert "complete" == runs.record("r1")["state"] == state_here(runs)
    assert ([], []) == (runs.staged(), runs.uploads())


def state_here(runs):
    return runs.ask("lineage", "r1")["runs"][0]["state"]


@pytest.mark.parametrize(
    "number", [5, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 1, 2, 3, 4, 6, 7, 8, 9))]
)
def test_run_killed_at_any_write_is_not_complete_and_then_finished(runs, proxy, number):
    assert killed_at(runs, proxy, number, *words_of(runs, SCRIPT))
    if number < 9:  # the last record came with the request that was on its way
        check_not_complete(runs)
    assert "interrupted" == state_here(runs)
    done = runs.ask("run", "--finish", "r1")
    if number >= 2:  # the job had ended
        assert ("complete", 0) == (done["state"], done["exit_code"])
        check_complete(runs, FILES)
    else:
        assert "interrupted" == done["state"] == runs.record("r1")["state"]
    runs.ask("run", "--finish", "r1", code=11)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_run_killed_again_and_again_converges(runs, proxy, seed):
    dice = random.Random(seed)
    assert killed_at(runs, proxy, dice.randrange(3, 9), *words_of(runs, SCRIPT))
    for _ in range(2):
        killed_at(runs, proxy, dice.randrange(0, 5), "run", "--finish", "r1")
    if state_here(runs) != "complete":
        runs.ask("run", "--finish", "r1")
    check_complete(runs, FILES)


def diverting(runs):
    gold = runs.top / "gold"
    script = f"echo x >{gold}/a; echo y >{gold}/new; echo z >$DATAGUARD_OUTPUTS/f3"
    first, *rest = words_of(runs, script)
    return (first, "--writes", "route", *rest)


def check_diverted(runs):
    record = runs.record("r1")
    assert "complete" == record["state"]
    assert {"modified", "new"} == {one["kind"] for one in record["diverted"]}
    assert record["attempts"]["sources"]


def test_finished_run_tells_where_else_its_job_wrote(runs, proxy):
    assert killed_at(runs, proxy, 3, *diverting(runs))
    assert "interrupted" == state_here(runs)
    done = runs.ask("run", "--finish", "r1")
    check_diverted(runs)
    assert runs.record("r1")["diverted"] == done["diverted"]


def test_so_does_one_whose_upload_was_refused_twice(runs, proxy):
    proxy.spoil(Reply(403), method="PUT", key=b"out/runs/r1/f3", times=2)
    assert "interrupted" == runs.ask(*diverting(runs), endpoint=proxy.endpoint, code=4)["state"]
    runs.ask("run", "--finish", "r1", endpoint=proxy.endpoint, code=4)
    runs.ask("run", "--finish", "r1", endpoint=proxy.endpoint)
    check_diverted(runs)


def test_run_is_finished_again_when_all_of_its_outputs_can_be_read(runs):
    script = "printf one >$DATAGUARD_OUTPUTS/a && mkfifo $DATAGUARD_OUTPUTS/pipe; exit 7"
    done = runs.run(script, "--writes", "route", "--run-id", "r1", code=7)
    assert (["pipe"], ["r1"]) == ([one["path"] for one in done["unreadable"]], runs.staged())
    attempts = runs.record("r1")["attempts"]
    for left in (["r1"], []):
        done = runs.ask("run", "--finish", "r1", code=4 if left else 0)
        assert ("failed", 7) == (done["state"], done["exit_code"])
        record = runs.record("r1")
        assert ("failed", attempts) == (record["state"], record["attempts"])
        assert left == runs.staged()
        if left:
            os.unlink(f"{runs.home}/state/outputs-{os.getuid()}/runs/r1/pipe")
    assert not {"staged", "ended"} & set(record["metadata"])
    runs.ask("run", "--finish", "r1", code=11)


def test_outputs_whose_record_was_replaced_are_left_alone(runs, proxy):
    assert killed_at(runs, proxy, 3, *diverting(runs))
    place = f"{runs.home}/state/outputs-{os.getuid()}/runs/r1/run.json"
    for text in ("", "[]", "{"):
        with open(place, "w") as file:
            file.write(text)
        assert place in runs.ask("run", "--finish", "r1", code=11)["message"]
    os.unlink(place)
    runs.ask("run", "--finish", "r1", code=11)
    check_not_complete(runs)


def test_large_upload_goes_on_with_the_parts_that_are_there(runs, proxy):
    script = f"head -c {LARGE} /dev/zero >$DATAGUARD_OUTPUTS/large"
    words = words_of(runs, script)
    assert killed_at(runs, proxy, 1, *words, key=b"out/runs/r1/large", query="partNumber")
    check_not_complete(runs)
    assert ["out/runs/r1/large"] == runs.uploads()
    proxy.forget()
    runs.ask("run", "--finish", "r1", endpoint=proxy.endpoint)
    assert len(proxy.asked("PUT", "partNumber")) < 3
    check_complete(runs, {"out/runs/r1/large": bytes(LARGE)})


@pytest.mark.parametrize(
    "fault",
    [Garble(at=0), *(pytest.param(one, marks=pytest.mark.long) for one in FAULTS)],
    ids=repr,
)
def test_fault_that_passes_is_waited_for(runs, proxy, fault):
    proxy.spoil(fault, method="PUT", key=b"out/runs/r1/f3")
    done = runs.ask(*words_of(runs, SCRIPT), endpoint=proxy.endpoint)
    assert ("complete", 6) == (done["state"], len(done["outputs"]))
    check_complete(runs, FILES)


def test_answer_that_is_lost_after_the_object_was_made_is_no_conflict(runs, proxy):
    proxy.spoil(Lose(), method="PUT", key=b"out/runs/r1/f3")
    proxy.spoil(Lose(), method="PUT", key=b"out/runs/r1/run.json")
    assert "complete" == runs.ask(*words_of(runs, SCRIPT), endpoint=proxy.endpoint)["state"]
    check_complete(runs, FILES)


def test_answer_to_a_completed_upload_that_breaks_off_is_read_back(runs, proxy):
    proxy.spoil(Cut(20), method="POST", key=b"out/runs/r1/large", query="uploadId")
    script = f"head -c {LARGE} /dev/zero >$DATAGUARD_OUTPUTS/large"
    assert "complete" == runs.ask(*words_of(runs, script), endpoint=proxy.endpoint)["state"]
    check_complete(runs, {"out/runs/r1/large": bytes(LARGE)})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amz-checksum-sha256", f"{b64encode(bytes(32)).decode()}-3"),
        ("etag", f'"{bytes(16).hex()}-3"'),
    ],
)
def test_object_that_is_made_of_other_parts_is_not_taken(runs, proxy, header, value):
    told = Tell(lambda _: ((header, value),))
    proxy.spoil(told, method="HEAD", key=b"out/runs/r1/large", times=1000)
    script = f"head -c {LARGE} /dev/zero >$DATAGUARD_OUTPUTS/large"
    done = runs.ask(*words_of(runs, script), endpoint=proxy.endpoint, code=4)
    assert "is not what was sent" in done["unreadable"][0]["detail"]
    check_not_complete(runs)
    runs.ask("run", "--finish", "r1")
    check_complete(runs, {"out/runs/r1/large": bytes(LARGE)})


@pytest.mark.long
def test_wrong_bytes_that_keep_coming_are_never_taken(runs, proxy):
    proxy.spoil(Garble(at=0), method="PUT", key=b"out/runs/r1/f3", times=1000)
    done = runs.ask(*words_of(runs, SCRIPT), endpoint=proxy.endpoint, code=4)
    assert "interrupted" == done["state"]
    assert "dataguard run --finish r1" in done["unreadable"][0]["detail"]
    assert "out/runs/r1/f3" not in runs.objects()
    check_not_complete(runs)
    runs.ask("run", "--finish", "r1")
    check_complete(runs, FILES)


@pytest.mark.long
def test_somebody_elses_object_is_neither_replaced_nor_removed(runs, proxy):
    def intrude():
        with runs.server.client() as s3:
            s3.put_object(Bucket=runs.bucket, Key="out/runs/r1/f3", Body=b"theirs")

    proxy.spoil(Before(intrude), method="PUT", key=b"out/runs/r1/f3")
    done = runs.ask(*words_of(runs, SCRIPT), endpoint=proxy.endpoint, code=4)
    assert "not this run's" in done["unreadable"][0]["detail"]
    runs.ask("run", "--finish", "r1", code=4)
    assert b"theirs" == runs.objects()["out/runs/r1/f3"]
    assert ["r1"] == runs.staged()
    check_not_complete(runs)


@pytest.mark.long
def test_files_that_changed_after_the_job_are_not_taken_for_its_outputs(runs, proxy):
    assert killed_at(runs, proxy, 4, *words_of(runs, SCRIPT))
    place = f"{runs.home}/state/outputs-{os.getuid()}/runs/r1/f3"
    with open(place, "w") as file:
        file.write("other")
    assert "changed" in runs.ask("run", "--finish", "r1", code=11)["message"]
    check_not_complete(runs)
