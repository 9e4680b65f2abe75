from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.copies import signatures
from dataguard.core.goldindex import GoldIndex
from dataguard.core.signature import signature
from dataguard.core.wantedsizes import Sizes
from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores.local import LocalStore
from dataguard.stores.sieve import SMALL, Sieve, SieveFile
from support.entrybatches import batch_of, file

PLAN = DigestPlan(Algorithm.XXH3_128)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
INODES = st.integers(0, (1 << 63) - 1)
LENGTHS = st.one_of(st.integers(0, 50), st.integers(SMALL - 2, SMALL + 2), st.integers(0, 1 << 50))


def sieve_of(sizes, known=(), least=1):
    """A sieve for sizes, as a scan makes it."""
    wanted = Sizes(GoldIndex((), ()), least, np.array(sorted(set(sizes)), np.int64))
    known = np.array(sorted(known), np.uint64)
    return SieveFile(*wanted.tables(SMALL), known.data)


@pytest.fixture
def tree(tmp_path):
    """Files of 0 to 39 bytes in flat and nested directories, a symlink, a large sparse file."""
    top = tmp_path / "tree"
    for name in ("a", "a-b", "b/c", "empty"):
        (top / name).mkdir(parents=True)
    for i in range(40):
        for parent in ("", "a", "a-b", "b", "b/c"):
            (top / parent / f"{i}.bin").write_bytes(b"x" * i)
    (top / "b" / "link").symlink_to("nowhere")
    os.mkfifo(top / "a" / "pipe")
    with (top / "large").open("wb") as sparse:
        sparse.truncate(5 << 20)
    return top


def store(tree):
    return LocalStore(str(tree), host="h", spread=SerialEngine().map)


def rows(pieces):
    """Path, kind, size and digest of each entry, what could not be read, and the files passed."""
    found, gaps, passed = [], [], 0
    for piece in pieces:
        columns = (piece.entries.column(name) for name in ("path", "kind", "size", "digest"))
        found += zip(*(column.to_pylist() for column in columns), strict=True)
        gaps += [(one.path, one.obstacle) for one in piece.unreadable]
        passed += piece.passed
    return found, gaps, passed


@given(NUMBERS, NUMBERS, INODES)
def test_signature_of_a_column_is_that_of_the_numbers(mtime_ns, ctime_ns, inode):
    facts = {"mtime_ns": mtime_ns, "ctime_ns": ctime_ns, "inode": inode}
    batch = batch_of([file(b"a", b"x", **facts)])
    assert [signature(inode, mtime_ns, ctime_ns)] == signatures([batch]).tolist()


def test_files_not_read_or_racy_have_no_signature():
    batch = batch_of([file(b"a", None, size=1), file(b"b", b"x", racy=True)])
    assert [] == signatures([batch]).tolist()


@given(st.sets(LENGTHS), st.sets(LENGTHS), st.integers(1, 60))
def test_sieve_wants_the_sizes_from_the_least_on(sizes, others, least):
    with sieve_of(sizes, least=least) as made:
        sieve = Sieve(made.name.path)
        for size in sizes | others:
            wanted = sieve.small[size] if size < SMALL else sieve.has_large(size)
            assert (size in sizes and size >= least) == bool(wanted)


@pytest.mark.parametrize("read_paths", [False, True])
def test_sifted_scan_tells_what_is_wanted_of_a_whole_one(tree, read_paths):
    whole, gaps, _ = rows(store(tree).scan(PLAN, read=True))
    wanted = {3, 17, 5 << 20}
    with sieve_of(wanted) as made:
        sifted = store(tree).sifted(made.name)
        if read_paths:
            paths = [path.encode() for path, kind, *_ in whole if kind != "d"]
            pieces = list(sifted.read_paths(paths, PLAN))
            gaps = []
        else:
            pieces = list(sifted.scan(PLAN, read=True))
    found, told, passed = rows(pieces)
    files = [one for one in whole if one[1] == "f"]
    assert [one for one in whole if one[1] == "l" or (one[2] in wanted and one[1] == "f")] == [
        one for one in found if one[1] != "d"
    ]
    assert (gaps, len(files) - sum(one[2] in wanted for one in files)) == (told, passed)
    assert pieces[-1].through >= max(path.encode() for path, kind, *_ in whole if kind == "f")


def test_what_a_sieve_knows_is_told_unread(tree):
    known = [path for path in tree.rglob("3.bin") if path.parent.name != "a"]
    states = [path.stat() for path in known]
    signed = [signature(one.st_ino, one.st_mtime_ns, one.st_ctime_ns) for one in states]
    with sieve_of({3, 4}, signed) as made:
        found, _, _ = rows(store(tree).sifted(made.name).scan(PLAN, read=True))
    unread = {tree / path for path, kind, _, digest in found if kind == "f" and digest is None}
    assert set(known) == unread
    assert 10 == sum(kind == "f" for _, kind, *_ in found)
