from __future__ import annotations

import hashlib
import os
import resource
import shutil
import tempfile
import threading
from itertools import accumulate
from pathlib import Path

import blake3
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.odd_trees import SPARSE_SIZE, add_fifo, add_sparse_file, growing_file
from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm
from dataguard.model.entry import Obstacle
from dataguard.stores.gathered import Gathered, Horizon
from dataguard.stores.hashing import new_hash
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import Segment, Unit
from dataguard.stores.slowread import LARGE as SET_ASIDE

MAIN = (Algorithm.XXH3_128,)
NOBODY = 65534
LARGE = (1 << 20) + 4097  # read in pieces, the last one short


def read(top, *names: bytes, algorithms=MAIN, read=True, tick_ns=0, hand_back=False, below=b""):
    unit = Unit(str(top), (Segment(below, names),), algorithms, read, tick_ns, hand_back)
    return read_unit(unit)


def naive(algorithm: Algorithm, data: bytes) -> bytes:
    match algorithm:
        case Algorithm.XXH3_128:
            return xxhash.xxh3_128_digest(data)
        case Algorithm.BLAKE3:
            return blake3.blake3(data).digest()
        case _:
            return hashlib.new(algorithm.value, data).digest()


def digests(found, width=16) -> list[bytes]:
    joined = found.digests[0]
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def paths(found) -> list[bytes]:
    ends = list(accumulate(found.lengths))
    return [
        found.paths[end - length : end] for end, length in zip(ends, found.lengths, strict=True)
    ]


def obstacles(found) -> dict[bytes, Obstacle]:
    return {item.path: item.obstacle for item in found.unreadable}


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20, (1 << 20) + 1, LARGE])
def test_one_read_gives_every_digest(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    found = read(tmp_path, b"f", algorithms=tuple(Algorithm))
    assert [naive(a, data) for a in Algorithm] == list(found.digests)
    assert (1, size) == (found.files_read, found.bytes_read)


@given(st.binary(max_size=300), st.sampled_from(list(Algorithm)))
@settings(deadline=None)
def test_digests_agree_with_the_libraries(data, algorithm):
    one = new_hash(algorithm)()
    one.update(memoryview(data))
    assert naive(algorithm, data) == one.digest()


def test_missing_library_is_said_with_the_extra_that_has_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "blake3", None)
    with pytest.raises(UsageError, match="blake3 is not installed"):
        new_hash(Algorithm.BLAKE3)


def test_each_file_is_opened_and_read_once(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"12345")
    calls = []
    real_open, real_read = os.open, os.read
    monkeypatch.setattr(os, "open", lambda *a, **k: calls.append("open") or real_open(*a, **k))
    monkeypatch.setattr(os, "read", lambda *a: calls.append("read") or real_read(*a))
    read(tmp_path, b"f", algorithms=tuple(Algorithm))
    assert ["open", "open", "read"] == calls  # the directory, the file


@pytest.mark.parametrize("size", [100, LARGE])
def test_short_reads_are_taken_together(tmp_path, monkeypatch, size):
    """FUSE with direct I/O may return less than was asked for before the end."""
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    real_read, real_readv = os.read, os.readv
    monkeypatch.setattr(os, "read", lambda fd, count: real_read(fd, min(count, 7)))
    monkeypatch.setattr(os, "readv", lambda fd, b: real_readv(fd, [memoryview(b[0])[:40_000]]))
    found = read(tmp_path, b"f")
    assert [xxhash.xxh3_128_digest(data)] == digests(found)


def disturb(monkeypatch, path: Path, change, *, times: int) -> list[int]:
    """Change the file after each of the first reads of it; return what counts them."""
    done: list[int] = []

    def after(real):
        def call(descriptor, argument):
            result = real(descriptor, argument)
            if len(done) < times:
                done.append(1)
                change(path)
            return result

        return call

    monkeypatch.setattr(os, "read", after(os.read))
    monkeypatch.setattr(os, "readv", after(os.readv))
    return done


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(os.urandom(1))


def overwrite_and_set_back_mtime(path: Path) -> None:
    status = path.stat()
    overwrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(os.urandom(path.stat().st_size))
    new.rename(path)


CHANGES = [grow, shrink, overwrite, overwrite_and_set_back_mtime, replace_by_another]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [50, LARGE])
def test_file_that_always_changes_while_read_is_unstable(tmp_path, monkeypatch, change, size):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    (tmp_path / "g").write_bytes(b"quiet")
    done = disturb(monkeypatch, path, change, times=100)
    found = read(tmp_path, b"f")
    assert {b"f": Obstacle.UNSTABLE} == obstacles(found)
    assert ([], 0, 0) == (digests(found), found.files_read, found.bytes_read)
    assert len(done) >= 3


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [50, LARGE])
def test_file_that_changed_once_while_read_is_read_again(tmp_path, monkeypatch, change, size):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    disturb(monkeypatch, path, change, times=1)
    found = read(tmp_path, b"f", b"f")
    assert {} == obstacles(found)
    assert [xxhash.xxh3_128_digest(path.read_bytes())] * 2 == digests(found)
    assert [path.stat().st_ctime_ns] * 2 == list(found.stats["ctime_ns"])
    assert [path.stat().st_ino] * 2 == list(found.stats["inode"])


def test_growing_log_is_unstable_and_the_rest_is_read(tmp_path):
    (tmp_path / "log").touch()
    os.truncate(tmp_path / "log", 64 << 20)  # long enough to be overtaken by the writer
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "z").write_bytes(b"2")
    with growing_file(str(tmp_path / "log")):
        found = read(tmp_path, b"a", b"log", b"z")
    assert 2 == len(found.lengths)
    assert {b"log": Obstacle.UNSTABLE} == obstacles(found)
    assert [xxhash.xxh3_128_digest(c) for c in (b"1", b"2")] == digests(found)


def test_no_digest_is_torn_between_two_contents(tmp_path):
    """A writer swaps whole contents in place; only one of the two may ever be seen."""
    path = tmp_path / "f"
    contents = [bytes([n]) * LARGE for n in (1, 2)]
    path.write_bytes(contents[0])
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for content in contents:
                with path.open("r+b", buffering=0) as file:
                    file.write(content)
                stop.wait(0.03)

    writer = threading.Thread(target=swap)
    writer.start()
    try:
        seen = [d for _ in range(15) for d in digests(read(tmp_path, b"f"))]
    finally:
        stop.set()
        writer.join()
    assert set(seen) <= {xxhash.xxh3_128_digest(content) for content in contents}


def test_special_files_that_take_a_files_place_are_not_waited_for(tmp_path):
    add_fifo(str(tmp_path))
    (tmp_path / "a").write_bytes(b"1")
    found = read(tmp_path, b"a", b"fifo")
    assert {b"fifo": Obstacle.UNSTABLE} == obstacles(found)
    assert 1 == len(found.lengths)


def test_a_link_in_a_files_place_is_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "f").symlink_to("secret")
    found = read(tmp_path, b"f")
    assert (b"l", {0: b"secret"}) == (bytes(found.kinds), found.links)
    assert 0 == found.files_read


def test_vanished_entries_and_directories_are_listed(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    segments = (Segment(b"", (b"a", b"gone")), Segment(b"d", (b"x", b"y")), Segment(b"", (b"a",)))
    found = read_unit(Unit(str(tmp_path), segments, MAIN, read=True, tick_ns=0))
    assert {b"gone": Obstacle.VANISHED, b"d": Obstacle.VANISHED} == obstacles(found)
    assert 2 == len(found.lengths)


def test_vanished_root_leaves_everything_unread(tmp_path):
    found = read(tmp_path / "gone", b"a")
    assert {b"": Obstacle.VANISHED} == obstacles(found)
    assert 0 == len(found.lengths)


def test_read_error_is_listed_and_not_raised(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"1")

    def fail(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    found = read(tmp_path, b"a")
    assert [(b"a", Obstacle.IO_ERROR, "Input/output error")] == [
        (u.path, u.obstacle, u.detail) for u in found.unreadable
    ]


def test_metadata_scan_opens_no_file(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"12")
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda n, *a, **k: opened.append(n) or real(n, *a, **k))
    found = read(tmp_path, b"f", read=False)
    assert [str(tmp_path)] == opened
    assert (b"\0", [2], 0) == (found.digested, list(found.stats["size"]), found.files_read)


def test_large_files_are_handed_back_where_asked(tmp_path):
    (tmp_path / "big").write_bytes(bytes(SET_ASIDE))
    (tmp_path / "small").write_bytes(bytes(SET_ASIDE - 1))
    found = read(tmp_path, b"big", b"small", hand_back=True)
    assert ([Segment(b"", (b"big",))], [b"small"]) == (found.large, paths(found))
    found = read(tmp_path, b"big", b"small")
    assert ([], [b"big", b"small"]) == (found.large, paths(found))


def test_change_within_a_tick_is_racy(tmp_path):
    (tmp_path / "f").write_bytes(b"1")
    minute = 60_000_000_000
    assert [True] == [bool(x) for x in read(tmp_path, b"f", tick_ns=minute).racy]
    assert [False] == [bool(x) for x in read(tmp_path, b"f", tick_ns=0).racy]
    assert [False] == [bool(x) for x in read(tmp_path, b"f", tick_ns=1).racy]


@pytest.mark.parametrize("size", [10, LARGE])
def test_access_times_stay(tmp_path, size):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_bytes(bytes(size))
    for path in (tmp_path / "d/f", tmp_path / "d", tmp_path):
        os.utime(path, (1, 1))  # relatime would move an access time as old as this
    assert 1 == read(tmp_path, b"f", below=b"d").files_read
    for path in (tmp_path / "d/f", tmp_path / "d", tmp_path):
        assert 1 == os.stat(path).st_atime


def in_child(action) -> None:
    """Run as nobody; the child's exit code tells whether it went through."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
            code = 0
        finally:
            os._exit(code)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def open_directory():
    """A directory that others can reach, which pytest's own are not."""
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_unprivileged_reader_lists_what_it_may_not_read(open_directory):
    (open_directory / "closed").write_bytes(b"1")
    (open_directory / "closed").chmod(0o600)
    (open_directory / "open").write_bytes(b"2")
    (open_directory / "unsearchable").mkdir()
    (open_directory / "unsearchable/f").touch()
    (open_directory / "unsearchable").chmod(0o744)

    def check() -> None:
        found = read(open_directory, b"closed", b"open")
        assert obstacles(found) == {b"closed": Obstacle.DENIED}
        assert digests(found) == [xxhash.xxh3_128_digest(b"2")]
        inside = read(open_directory, b"f", below=b"unsearchable")
        assert obstacles(inside) == {b"unsearchable/f": Obstacle.DENIED}

    in_child(check)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_own_files_keep_their_access_time_beside_files_of_others(open_directory):
    for name, owner in (("a", 0), ("b", NOBODY)):
        (open_directory / name).write_bytes(b"1")
        os.utime(open_directory / name, (1, 1))
        os.chown(open_directory / name, owner, owner)

    def check() -> None:
        assert read(open_directory, b"a", b"b").files_read == 2

    in_child(check)
    assert 1 == os.stat(open_directory / "b").st_atime


def test_inode_numbers_above_the_middle_fit_the_column():
    numbers = [(1 << 64) - 1, (1 << 63) - 1]
    found = Gathered((bytes(16),))
    for number in numbers:
        found.add_unread(b"f", os.stat_result((0o100644, number, *[0] * 17)))
    assert [-1, (1 << 63) - 1] == list(found.columns(Horizon.now(0)).stats["inode"])


@pytest.mark.long
def test_sparse_file_of_4_gib_needs_little_memory(tmp_path):
    add_sparse_file(str(tmp_path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(tmp_path, b"sparse")
    assert (1, SPARSE_SIZE) == (found.files_read, found.bytes_read)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_unit_of_many_bytes_hands_back_its_rest_in_parts(tmp_path):
    names = [b"%03d" % number for number in range(300)]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.truncate(1 << 20)
    found = read(tmp_path, *names, hand_back=True)
    rest = [name for part in found.large for name in part.names]
    assert names == [*paths(found), *rest]
    assert 16 <= len(found.large[0].names) <= 64
    assert len(paths(found)) <= 64
    assert names == paths(read(tmp_path, *names))
