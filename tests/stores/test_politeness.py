from __future__ import annotations

import os
import random

import pytest

from contracts.store import PLAN
from dataguard.engines.serial import SerialEngine
from dataguard.stores.local import LocalStore
from support.pagecache import PAGE, cached_pages, make_cold, make_warm, why_no_page_cache

KIB, MIB = 1 << 10, 1 << 20
SIZES = (100, 5_000, 70 * KIB, MIB, MIB + 1, 2 * MIB, 5 * MIB)


def pages(path):
    return -(-os.path.getsize(path) // PAGE)


def write(directory, name, size):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(random.Random(name).randbytes(size))
    return path


@pytest.fixture
def disk(tmp_path):
    """A directory on a disk: what is on tmpfs never leaves the memory."""
    if reason := why_no_page_cache(tmp_path):
        pytest.skip(reason)
    return tmp_path


def scan(directory, *, polite):
    store = LocalStore(str(directory), host="here", spread=SerialEngine().map, polite=polite)
    return sum(piece.bytes_read for piece in store.scan(PLAN, read=True))


def left_by_polite_scans(directory, made, warm):
    """Yield the pages that each of some scans leaves of what was not in memory before.

    `warm` are ranges of files in memory. The kernel begins to fetch what it is asked for: a
    process that has to wait just then finds it there, and takes it for old. So one scan may leave
    something, but none may drop what was there.
    """
    for _ in range(5):
        for path in made:
            make_cold(path)
        for one in warm:
            make_warm(*one)
        before = [cached_pages(*one) for one in warm]
        assert sum(map(os.path.getsize, made)) == scan(directory, polite=True)
        assert before == [cached_pages(*one) for one in warm]
        yield sum(map(cached_pages, made)) - sum(before)


@pytest.mark.parametrize("first", ["cold", "warm"])
def test_polite_scan_leaves_each_file_in_memory_as_it_was(disk, first):
    made = [write(disk, f"gold/{number:02}-{size}", size) for size in SIZES for number in range(3)]
    made.sort()
    warm = [(path,) for path in made[first == "cold" :: 2]]
    assert 0 in left_by_polite_scans(disk / "gold", made, warm)


def test_part_of_a_large_file_that_somebody_uses_stays_and_the_rest_goes(disk):
    path = write(disk, "gold/large", 20 * MIB + 5)
    used = [(path, 0, MIB), (path, 4 * MIB, 3 * MIB)]
    assert 0 in left_by_polite_scans(disk / "gold", [path], used)


def test_scan_that_is_not_polite_leaves_what_it_read(disk):
    made = [write(disk, f"gold/{size}", size) for size in SIZES]
    for path in made:
        make_cold(path)
    scan(disk / "gold", polite=False)
    assert [pages(path) for path in made] == [cached_pages(path) for path in made]
