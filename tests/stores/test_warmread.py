"""Small files in the page cache are read with few calls; whatever is odd is left to others."""

from __future__ import annotations

import os

import pytest
import xxhash

from dataguard.stores.gathered import Gathered
from dataguard.stores.sifting import Worth
from dataguard.stores.warmread import WarmReader

MOST = 1 << 30


@pytest.fixture
def files(tmp_path):
    """Three small files, as they were looked at, and their directory."""
    found = []
    for name, size in ((b"a", 1), (b"b", 5000), (b"c", 1 << 18)):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(os.urandom(size))
        found.append(Worth(name, os.lstat(path), is_known=False))
    directory = os.open(tmp_path, os.O_RDONLY)
    yield found, directory
    os.close(directory)


def read(files, directory, most=MOST):
    found = Gathered((bytes(16),))
    digests = [(column.append, xxhash.xxh3_128_digest) for column in found.digests]
    taken = WarmReader(found, digests, most).take(directory, b"p/", files)
    return taken, found


def test_digests_are_those_of_the_files_and_paths_have_the_prefix(files, tmp_path):
    entries, directory = files
    taken, found = read(entries, directory)
    expected = [
        xxhash.xxh3_128_digest((tmp_path / os.fsdecode(one.name)).read_bytes()) for one in entries
    ]
    assert (3, [b"p/a", b"p/b", b"p/c"], expected) == (taken, found.paths, found.digests[0])
    assert sum(one.status.st_size for one in entries) == found.bytes_read


@pytest.mark.parametrize("change", ["grows", "shrinks", "rewritten", "gone", "link", "pipe"])
def test_a_file_that_is_not_as_it_was_is_left_to_others_with_all_after_it(files, tmp_path, change):
    entries, directory = files
    path = tmp_path / "b"
    match change:
        case "grows":
            path.write_bytes(bytes(5001))
        case "shrinks":
            path.write_bytes(bytes(4999))
        case "rewritten":
            path.write_bytes(bytes(5000))
        case _:
            path.unlink()
    if change == "link":
        path.symlink_to("a")
    if change == "pipe":
        os.mkfifo(path)
    taken, found = read(entries, directory)
    assert (1, [b"p/a"]) == (taken, found.paths)


def test_no_more_is_gathered_than_a_unit_may_have(files):
    entries, directory = files
    assert 2 == read(entries, directory, most=5001)[0]


def test_a_large_file_is_left_to_others(files, tmp_path):
    entries, directory = files
    (tmp_path / "d").write_bytes(bytes((1 << 18) + 1))
    large = Worth(b"d", os.lstat(tmp_path / "d"), is_known=False)
    assert 0 == read([large, *entries], directory)[0]
