from __future__ import annotations

import json
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from dataguard.errors import ConflictError, NotFoundError, StoreUnreachableError
from dataguard.stores.local import exclusion
from dataguard.stores.rundirectory import (
    OWN_FILES,
    RunDirectory,
    make_private_directory,
    remove_private_directory,
)


@pytest.fixture
def made(tmp_path):
    with RunDirectory.make(str(tmp_path / "outputs"), "r-1") as directory:
        yield directory


def test_directory_is_made_below_runs(made, tmp_path):
    assert str(tmp_path / "outputs/runs/r-1") == made.path
    assert [] == os.listdir(made.path)
    assert made.is_in_place()


@pytest.mark.usefixtures("made")
def test_second_run_of_one_id_is_a_conflict(tmp_path):
    with pytest.raises(ConflictError, match="already a run directory") as caught:
        RunDirectory.make(str(tmp_path / "outputs"), "r-1")
    assert "--run-id" in (caught.value.hint or "")


def test_unwritable_outputs_place_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnreachableError, match="cannot make the run directory"):
        RunDirectory.make(str(tmp_path / "file"), "r-1")


def test_missing_directory_and_link_in_its_place_are_not_opened(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").touch()
    for name in ("gone", "link", "file"):
        with pytest.raises(NotFoundError, match="cannot open the run directory"):
            RunDirectory(str(tmp_path / name))


def test_record_is_replaced_and_nothing_else_is_left(made):
    for state in ("running", "complete"):
        made.write_record({"state": state})
        record = Path(made.path, "run.json")
        assert {"state": state} == json.loads(record.read_text())
        assert 0o644 == stat.S_IMODE(record.stat().st_mode) | 0o044
    assert ["run.json"] == os.listdir(made.path)


def test_readers_never_see_half_a_record(made):
    made.write_record({"n": 0, "filler": "x" * 100_000})
    stop, broken = threading.Event(), []

    def watch() -> None:
        while not stop.is_set():
            try:
                json.loads(Path(made.path, "run.json").read_text())
            except ValueError as err:
                broken.append(err)

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for number in range(30):
            made.write_record({"n": number, "filler": "y" * 100_000})
    finally:
        stop.set()
        reader.join()
    assert [] == broken


def test_links_that_the_job_put_there_are_not_written_through(made, tmp_path):
    gold = tmp_path / "gold"
    gold.write_text("precious")
    manifest = tmp_path / "manifest"
    manifest.write_text("rows")
    for name in ("run.json", "outputs.parquet"):
        os.symlink(gold, os.path.join(made.path, name))
    made.write_record({"state": "complete"})
    made.write_manifest(str(manifest))
    assert "precious" == gold.read_text()
    assert Path(made.path, "outputs.parquet").is_symlink()  # the job's own file stays
    assert not Path(made.path, "run.json").is_symlink()


def test_directory_that_was_moved_is_still_the_one_written(made, tmp_path):
    os.rename(made.path, tmp_path / "moved")
    os.mkdir(made.path)
    assert not made.is_in_place()
    made.write_record({"state": "failed"})
    assert [] == os.listdir(made.path)
    assert ["run.json"] == os.listdir(tmp_path / "moved")


def test_link_in_the_directorys_place_is_noticed(made, tmp_path):
    os.rename(made.path, tmp_path / "moved")
    os.symlink(tmp_path / "moved", made.path)
    assert not made.is_in_place()
    os.unlink(made.path)
    assert not made.is_in_place()


def test_write_that_fails_leaves_no_temporary_file(made):
    os.mkdir(f"{made.path}/run.json")
    with pytest.raises(StoreUnreachableError):
        made.write_record({})
    assert ["run.json"] == os.listdir(made.path)


def test_directory_in_place_of_the_record_is_said(made):
    Path(made.path, "run.json").mkdir()
    with pytest.raises(StoreUnreachableError, match="cannot write"):
        made.write_record({})


def test_missing_manifest_is_said(made, tmp_path):
    with pytest.raises(StoreUnreachableError, match="cannot read"):
        made.write_manifest(str(tmp_path / "gone"))


def test_own_files_are_those_at_the_top_alone():
    excluded = exclusion(OWN_FILES)
    assert excluded(b"run.json", False)
    kept = [b"d/run.json", b"d/outputs.parquet", b"run.json.bak", b"result", b".dataguard-0"]
    assert [] == [path for path in kept if excluded(path, False)]


def test_descriptors_are_closed(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with RunDirectory.make(str(tmp_path), "r-2") as directory:
        directory.write_record({})
    assert before == len(os.listdir("/proc/self/fd"))


def test_private_directory_is_private_and_goes_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = make_private_directory("r-3")
    assert 0o700 == stat.S_IMODE(os.stat(path).st_mode)
    Path(path, "d").mkdir()
    Path(path, "d/f").touch()
    remove_private_directory(path, "r-3")
    assert [] == os.listdir(tmp_path)
    remove_private_directory(path, "r-3")


def test_only_the_private_directory_of_the_run_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = make_private_directory("r-4")
    Path(mine, "inside").mkdir()
    foreign = [str(tmp_path), "", "/", f"{mine}/inside", f"{mine}/../x", str(tmp_path / "other")]
    (tmp_path / "other").mkdir()
    for path in foreign:
        remove_private_directory(path, "r-4")
    remove_private_directory(mine, "r-5")
    assert Path(mine, "inside").is_dir()
    assert (tmp_path / "other").is_dir()


def test_link_in_place_of_the_private_directory_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = make_private_directory("r-6")
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold/f").touch()
    os.rmdir(path)
    os.symlink(tmp_path / "gold", path)
    remove_private_directory(path, "r-6")
    assert (tmp_path / "gold/f").exists()


def test_manifest_does_not_take_the_place_of_a_file_of_the_job(made, tmp_path):
    Path(made.path, "outputs.parquet").write_text("precious")
    manifest = tmp_path / "manifest"
    manifest.write_text("rows")
    made.write_manifest(str(manifest))
    assert "precious" == Path(made.path, "outputs.parquet").read_text()
    assert ["outputs.parquet"] == os.listdir(made.path)
