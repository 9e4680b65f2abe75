from __future__ import annotations

import os
import random
import subprocess

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataguard.core.columns import joined
from dataguard.errors import CatalogDamagedError, StoreUnreachableError
from dataguard.stores import spill
from dataguard.stores.spill import SpillingSort
from support.entrybatches import batch_of, file

NAMES = st.binary(min_size=1, max_size=3).filter(lambda name: b"\0" not in name)


def batches(paths: list[bytes], rows: int) -> list[pa.RecordBatch]:
    """Batches of entries in the order given."""
    single = [batch_of([file(path, path)]) for path in paths]
    return [joined(single[start : start + rows]) for start in range(0, len(single), rows)]


def everything(sort: SpillingSort) -> list[dict[str, object]]:
    return [row for batch in sort.sorted() for row in batch.to_pylist()]


@given(
    st.lists(NAMES, unique=True, max_size=60),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(2, 4),
)
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sorting_by_spilling_agrees_with_sorting_in_memory(tmp_path, paths, cut, rows, runs):
    with pytest.MonkeyPatch.context() as patch, SpillingSort(str(tmp_path), rows=rows) as sort:
        patch.setattr(spill, "_RUNS_MAX", runs)
        for batch in batches(paths, cut):
            sort.add(batch)
        found = everything(sort)
    assert batch_of([file(path, path) for path in paths]).to_pylist() == found
    assert [] == os.listdir(tmp_path)


def test_nothing_sorts_to_nothing(tmp_path):
    with SpillingSort(str(tmp_path), rows=5) as sort:
        assert [] == everything(sort)


@pytest.mark.parametrize("rows", [2, 100])
def test_duplicates_are_refused(tmp_path, rows):
    with SpillingSort(str(tmp_path), rows=rows) as sort:
        for batch in batches([b"b", b"a", b"c", b"d", b"a"], 1):
            sort.add(batch)
        with pytest.raises(CatalogDamagedError, match="path order"):
            everything(sort)


def test_rows_in_memory_are_bounded_and_nothing_has_a_name(tmp_path):
    paths = [b"%05d" % n for n in range(4_000)]
    random.Random(5).shuffle(paths)
    source = batches(paths, 100)
    before, row_bytes = pa.total_allocated_bytes(), source[0].nbytes / 100
    with SpillingSort(str(tmp_path), rows=200) as sort:
        held = []
        for batch in source:
            sort.add(batch)
            held.append(pa.total_allocated_bytes() - before)
            assert [] == os.listdir(tmp_path)
        found = 0
        for batch in sort.sorted():
            held.append(pa.total_allocated_bytes() - before)
            found += batch.num_rows
    assert 4_000 == found
    # Buffers are padded to 64 bytes, and a batch of six rows has many: hence the allowance.
    assert max(held) < 4_000 * row_bytes


def test_directory_that_is_not_there_is_said(tmp_path):
    with SpillingSort(str(tmp_path / "none"), rows=1) as sort:
        sort.add(batch_of([file(b"a")]))
        with pytest.raises(StoreUnreachableError, match="cannot sort in"):
            sort.add(batch_of([file(b"b")]))


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    top = tmp_path / "small"
    top.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(top)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield top
    subprocess.run(["umount", "--lazy", str(top)], check=True)


def test_full_disk_is_an_error_with_a_hint(full_disk):
    entries = batch_of([file(b"%06d" % n) for n in range(2_000)])
    with SpillingSort(str(full_disk), rows=500) as sort:
        with pytest.raises(StoreUnreachableError, match="No space left") as caught:
            sort.add(entries)
        assert "df -h" in caught.value.hint
