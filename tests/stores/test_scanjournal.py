from __future__ import annotations

import os

import pytest

from dataguard.model.digest import Algorithm
from dataguard.model.schema import observed_schema
from dataguard.stores.scanjournal import ScanJournal
from support.entrybatches import batch_of, file

SCHEMA = observed_schema(Algorithm.XXH3_128, ())


def entries(*names, size=1):
    return batch_of([file(name, b"x" * size) for name in names]).select(SCHEMA.names)


def journal(path, filesystem=1):
    return ScanJournal(str(path), filesystem, SCHEMA)


def kept(path, *batches):
    """Write batches as a scan would that is killed afterwards."""
    one = journal(path)
    one.open()
    for batch in batches:
        one.add(batch, 1 << 30)
    one.close()


def sizes(path, filesystem=1):
    """What is known: size by path."""
    found = {}
    for batch in journal(path, filesystem).known():
        names, values = batch.column("path").to_pylist(), batch.column("size").to_pylist()
        found.update(zip(names, values, strict=True))
    return found


def test_what_was_kept_is_known_the_last_of_each_path(tmp_path):
    kept(tmp_path / "j", entries(b"a", b"b"), entries(b"c"))
    kept(tmp_path / "j", entries(b"a", size=2))
    assert {"a": 2, "b": 1, "c": 1} == sizes(tmp_path / "j")
    assert 0o600 == (tmp_path / "j").stat().st_mode & 0o777


def test_rows_of_another_file_system_are_not_taken(tmp_path):
    kept(tmp_path / "j", entries(b"a"))
    assert {} == sizes(tmp_path / "j", filesystem=2)


@pytest.mark.parametrize("cut", [1, 30, 200, 300])
def test_a_damaged_end_costs_its_frame_and_is_written_over(tmp_path, cut):
    kept(tmp_path / "j", entries(b"a"), entries(b"b"))
    os.truncate(tmp_path / "j", (tmp_path / "j").stat().st_size - cut)
    assert {"a": 1} == sizes(tmp_path / "j")
    kept(tmp_path / "j", entries(b"c"))
    assert {"a": 1, "c": 1} == sizes(tmp_path / "j")


def test_who_comes_second_keeps_nothing_and_removes_nothing(tmp_path):
    first, second = journal(tmp_path / "j"), journal(tmp_path / "j")
    first.open()
    second.open()
    second.add(entries(b"b"), 1 << 30)
    second.drop()
    first.add(entries(b"a"), 1 << 30)
    first.close()
    assert {"a": 1} == sizes(tmp_path / "j")
    first = journal(tmp_path / "j")
    first.open()
    first.drop()
    assert not (tmp_path / "j").exists()


def test_home_that_cannot_be_written_costs_the_journal_alone(tmp_path):
    (tmp_path / "file").touch()
    kept(tmp_path / "file" / "j", entries(b"a"))
    assert {} == sizes(tmp_path / "file" / "j")
