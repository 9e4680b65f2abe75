from __future__ import annotations

import hashlib
import json
import os

import pytest

from dataguard.core.columns import raw_paths
from dataguard.errors import NotFoundError, UsageError
from dataguard.model.digest import Algorithm
from dataguard.stores.expected import load_expectation

SHA256 = hashlib.sha256(b"x").hexdigest()
MD5 = hashlib.md5(b"x").hexdigest()
ROWS = json.dumps([{"md5": MD5, "relpath": "b"}, {"md5": MD5, "relpath": "a/é"}]).encode()


@pytest.fixture
def tracked(tmp_path):
    """A DVC project that tracks the directory `data/images`."""
    key = hashlib.md5(ROWS).hexdigest()
    stored = tmp_path / ".dvc/cache/files/md5" / key[:2] / f"{key[2:]}.dir"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(ROWS)
    file = tmp_path / "data/images.dvc"
    file.parent.mkdir()
    file.write_text(f"outs:\n- md5: {key}.dir\n  nfiles: 2\n  path: images\n")
    return file, stored


def paths_of(expectation) -> list[bytes]:
    return raw_paths(expectation.rows).to_pylist()


@pytest.mark.parametrize("name", ["SHA256SUMS", "sums.txt", "manifest.txt", "-"])
def test_any_other_name_is_a_checksum_file(tmp_path, name):
    (tmp_path / name).write_text(f"{SHA256}  a b\n")
    found = load_expectation(str(tmp_path / name))
    assert (Algorithm.SHA256, [b"a b"], False) == (
        found.algorithm,
        paths_of(found),
        found.exhaustive,
    )


def test_bagit_manifest_is_known_by_its_name(tmp_path):
    (tmp_path / "manifest-sha256.txt").write_text(f"{SHA256}  data/a%0Ab\n")
    found = load_expectation(str(tmp_path / "manifest-sha256.txt"))
    assert ([b"data/a\nb"], True) == (paths_of(found), found.exhaustive)


def test_dvc_file_leads_to_its_directory_object(tracked):
    file, _ = tracked
    found = load_expectation(str(file))
    assert (Algorithm.MD5, True) == (found.algorithm, found.exhaustive)
    assert ["a/é".encode(), b"b"] == paths_of(found)


def test_dvc_file_is_found_from_a_relative_path(tracked, monkeypatch):
    file, _ = tracked
    monkeypatch.chdir(file.parent)
    assert 2 == load_expectation("images.dvc").rows.num_rows


def test_directory_object_of_old_releases_is_found(tracked, tmp_path):
    file, stored = tracked
    old = tmp_path / ".dvc/cache" / stored.parent.name / stored.name
    old.parent.mkdir()
    stored.rename(old)
    assert 2 == load_expectation(str(file)).rows.num_rows


def test_directory_object_is_read_by_itself(tracked):
    _, stored = tracked
    assert 2 == load_expectation(str(stored)).rows.num_rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        "outs: []",
        "outs:",
        "outs: 5",
        "- 1",
        "outs:\n- path: x",
        "outs:\n- md5: 123",
        f"outs:\n- md5: {MD5}",
        "outs:\n- md5: ../../../etc/passwd.dir",
        "outs: [",
        "outs:\n- !!python/object/apply:os.system [true]",
        "\x00",
    ],
)
def test_dvc_file_of_another_form_is_a_usage_error(tmp_path, text):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "x.dvc").write_text(text)
    with pytest.raises(UsageError, match="tracks no directory"):
        load_expectation(str(tmp_path / "x.dvc"))


def test_missing_files_and_cache_objects_are_not_found(tmp_path, tracked):
    file, stored = tracked
    stored.unlink()
    for path in (file, tmp_path / "gone", tmp_path / "gone.dvc"):
        with pytest.raises(NotFoundError):
            load_expectation(str(path))


def test_dvc_file_outside_every_project_is_not_found(tmp_path):
    (tmp_path / "x.dvc").write_text(f"outs:\n- md5: {MD5}.dir\n")
    with pytest.raises(NotFoundError, match=r"no \.dvc directory above"):
        load_expectation(str(tmp_path / "x.dvc"))


def test_unreadable_file_is_said(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        load_expectation(str(tmp_path / "d"))


def test_missing_yaml_is_said_with_the_extra_that_has_it(tracked, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(UsageError, match="PyYAML is not installed") as caught:
        load_expectation(str(tracked[0]))
    assert "dataguard[dvc]" in (caught.value.hint or "")


def test_file_names_need_not_be_text(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"sums\xff")
    with open(path, "wb") as file:
        file.write(f"{SHA256}  a\n".encode())
    assert [b"a"] == paths_of(load_expectation(os.fsdecode(path)))
