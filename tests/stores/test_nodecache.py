"""The node cache: what is under a digest has it, whatever the source, the disk or others do."""

from __future__ import annotations

import os
import stat

import pytest

from dataguard.errors import ConfigurationError, StoreUnreachableError, WrongBytesError
from dataguard.model.cache import Wanted
from dataguard.model.digest import Algorithm
from dataguard.stores import cacheplace
from support.caches import Source, Ticking, cache_at, wanted_of

DATA = os.urandom(3 << 20)


@pytest.fixture
def cache(tmp_path):
    with cache_at(tmp_path / "home" / "cache") as made:
        yield made


def read(path):
    with open(path, "rb") as file:
        return file.read()


def parts(cache):
    return os.listdir(os.path.join(cache.place.root, "part"))


def overwrite(path, data, *, at=0):
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("algorithm", [Algorithm.XXH3_128, Algorithm.SHA256, Algorithm.BLAKE3])
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["empty", "byte", "large"])
def test_filled_content_is_read_only_under_its_digest(cache, algorithm, data):
    wanted = wanted_of(data, algorithm)
    assert cache.path_of(wanted) is None

    path = cache.fill(wanted, Source(data))
    name = wanted.digest.hex()
    assert f"{cache.place.root}/{algorithm}/{name[:2]}/{name}" == path == cache.path_of(wanted)
    assert data == read(path)
    assert 0o444 == stat.S_IMODE(os.stat(path).st_mode)
    assert [] == parts(cache)


def test_what_is_there_is_not_fetched_again(cache):
    source = Source(DATA)
    for _ in range(3):
        cache.fill(wanted_of(DATA), source)
    assert [0] == source.asked


def test_another_cache_object_sees_what_is_there(cache):
    path = cache.fill(wanted_of(DATA), Source(DATA))
    with cache_at(cache.place.top) as other:
        assert path == other.path_of(wanted_of(DATA))


def test_fetch_that_failed_goes_on_where_it_was(cache):
    broken = Source(DATA, end=2 << 20)
    with pytest.raises(ConnectionError):
        cache.fill(wanted_of(DATA), broken)
    assert cache.path_of(wanted_of(DATA)) is None

    source = Source(DATA)
    assert DATA == read(cache.fill(wanted_of(DATA), source))
    assert ([2 << 20], 1 << 20) == (source.asked, source.bytes)


@pytest.mark.parametrize(
    "served",
    [DATA[:-1], DATA + b"x", DATA[:-1] + bytes([DATA[-1] ^ 1]), b""],
    ids=["short", "long", "flipped", "nothing"],
)
def test_wrong_bytes_are_refused_reported_and_not_kept(cache, served):
    with pytest.raises(WrongBytesError, match="the source gave"):
        cache.fill(wanted_of(DATA), Source(served))

    assert cache.path_of(wanted_of(DATA)) is None
    assert [] == parts(cache)
    assert [str(wanted_of(DATA))] == [one.object for one in cache.index.incidents(9)]
    assert DATA == read(cache.fill(wanted_of(DATA), Source(DATA)))


def test_no_more_is_taken_than_the_size_says(cache):
    def endless(_start):
        while True:
            yield b"x" * 65536

    with pytest.raises(WrongBytesError, match="more bytes"):
        cache.fill(wanted_of(b"x" * 100), endless)


@pytest.mark.parametrize("left", [b"\0" * 1000, DATA + b"more"], ids=["zeros", "longer"])
def test_leftovers_that_are_wrong_are_fetched_anew(cache, left):
    cache.prepare()
    with open(cache.place.part_of(wanted_of(DATA)), "wb") as part:
        part.write(left)
    assert DATA == read(cache.fill(wanted_of(DATA), Source(DATA)))


def test_leftovers_that_are_complete_are_not_fetched(cache):
    cache.prepare()
    with open(cache.place.part_of(wanted_of(DATA)), "wb") as part:
        part.write(DATA)
    source = Source(DATA)
    assert DATA == read(cache.fill(wanted_of(DATA), source))
    assert [] == source.asked


@pytest.mark.parametrize("change", ["content", "longer", "shorter"])
def test_file_that_was_changed_is_never_served_and_filled_again(cache, change):
    path = cache.fill(wanted_of(DATA), Source(DATA))
    times = os.stat(path)
    if change == "content":
        overwrite(path, b"wrong", at=1000)
    else:
        os.truncate(path, len(DATA) + (1 if change == "longer" else -1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert cache.path_of(wanted_of(DATA)) is None
    assert cache.open(wanted_of(DATA)) is None
    source = Source(DATA)
    assert DATA == read(cache.fill(wanted_of(DATA), source))
    assert [0] == source.asked
    assert ["removed from the cache"] == [
        one.what.partition(":")[0] for one in cache.index.incidents(9)
    ]


def test_file_that_was_touched_alone_is_read_again_and_stays(cache):
    path = cache.fill(wanted_of(DATA), Source(DATA))
    os.utime(path)
    assert cache.path_of(wanted_of(DATA)) is None

    source = Source(DATA)
    assert path == cache.fill(wanted_of(DATA), source) == cache.path_of(wanted_of(DATA))
    assert [] == source.asked


def test_file_without_a_record_is_read_before_it_is_served(cache):
    path = cache.fill(wanted_of(DATA), Source(DATA))
    os.unlink(cache.index.path)
    cache.index.close()
    assert cache.path_of(wanted_of(DATA)) is None

    source = Source(DATA)
    assert path == cache.fill(wanted_of(DATA), source)
    assert [] == source.asked
    assert (1, len(DATA)) == cache.index.totals()


def test_link_in_the_place_of_a_file_is_not_followed(cache, tmp_path):
    path = cache.fill(wanted_of(DATA), Source(DATA))
    other = tmp_path / "other"
    os.rename(path, other)
    os.symlink(other, path)

    assert cache.path_of(wanted_of(DATA)) is None
    with pytest.raises(OSError, match="symbolic links"):
        os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    assert DATA == read(cache.fill(wanted_of(DATA), Source(DATA)))
    assert not os.path.islink(path)


def test_part_with_another_name_is_not_written(cache, tmp_path):
    """Who may write the parts cannot have others write a file of theirs."""
    wanted, victim = wanted_of(DATA), tmp_path / "victim"
    victim.write_bytes(b"precious")
    cache.prepare()
    os.link(victim, cache.place.part_of(wanted))
    mode = victim.stat().st_mode

    assert DATA == read(cache.fill(wanted, Source(DATA)))
    assert (b"precious", mode) == (victim.read_bytes(), victim.stat().st_mode)


def test_pipe_in_the_place_of_a_part_is_not_written(cache):
    wanted = wanted_of(DATA)
    cache.prepare()
    os.mkfifo(cache.place.part_of(wanted))

    assert DATA == read(cache.fill(wanted, Source(DATA)))


def test_open_descriptor_outlives_the_file(cache):
    cache.fill(wanted_of(DATA), Source(DATA))
    descriptor = cache.open(wanted_of(DATA))
    os.unlink(cache.path_of(wanted_of(DATA)))
    with open(descriptor, "rb") as file:
        assert DATA == file.read()
    assert cache.open(wanted_of(DATA)) is None


def test_other_size_under_a_digest_is_another_content(cache):
    right = wanted_of(DATA)
    cache.fill(right, Source(DATA))
    assert cache.path_of(Wanted(right.algorithm, right.digest, right.size + 1)) is None


def test_uses_are_noted_once_in_a_while(tmp_path):
    clock = Ticking(0)
    with cache_at(tmp_path / "cache", clock=clock) as cache:
        cache.fill(wanted_of(DATA), Source(DATA))
        begun = cache.index.known(wanted_of(DATA))[1]
        for step, expected in ((1, begun), (3600, begun + 3600)):
            clock.time = type(clock.time).fromtimestamp(begun + step, clock.time.tzinfo)
            assert cache.path_of(wanted_of(DATA))
            cache.close()
            assert expected == cache.index.known(wanted_of(DATA))[1]


def test_forked_child_reads_and_fills(cache):
    cache.fill(wanted_of(DATA), Source(DATA))
    child = os.fork()
    if child == 0:
        try:
            there = cache.path_of(wanted_of(DATA)) is not None
            cache.fill(wanted_of(b"child"), Source(b"child"))
            os._exit(0 if there else 1)
        finally:
            os._exit(2)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert b"child" == read(cache.path_of(wanted_of(b"child")))


def test_child_forked_while_a_thread_writes_does_not_wait_for_it(cache):
    cache.fill(wanted_of(DATA), Source(DATA))
    with cache.index._asked(write=True) as ask:
        ask.execute("UPDATE object SET used = used")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if cache.path_of(wanted_of(DATA)) else 1)
            finally:
                os._exit(2)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert cache.path_of(wanted_of(DATA))


def test_place_on_a_network_file_system_is_refused(cache, monkeypatch):
    monkeypatch.setattr(cacheplace, "file_system_type", lambda _device: "nfs4")
    with pytest.raises(ConfigurationError, match="nfs4 is not a disk of this host"):
        cache.fill(wanted_of(DATA), Source(DATA))


def test_place_where_locks_do_not_hold_is_refused(cache, monkeypatch):
    monkeypatch.setattr(cacheplace.fcntl, "flock", lambda *_: None)
    with pytest.raises(ConfigurationError, match="the same lock twice"):
        cache.fill(wanted_of(DATA), Source(DATA))


def test_place_where_everybody_may_write_is_refused(tmp_path):
    place = tmp_path / "cache"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(ConfigurationError, match="everybody may write there"):
        cache_at(place).fill(wanted_of(DATA), Source(DATA))


def test_damaged_index_is_said_and_how_to_make_it_anew(cache):
    cache.fill(wanted_of(DATA), Source(DATA))
    cache.index.close()
    with open(cache.index.path, "r+b") as file:
        file.write(b"no database at all" * 10)
    with pytest.raises(StoreUnreachableError, match="cannot use the index") as raised:
        cache.path_of(wanted_of(DATA))
    assert "dataguard cache verify" in raised.value.hint


def test_many_are_looked_for_as_one_is(cache):
    contents = [f"{number}".encode() for number in range(700)]
    for data in contents[::3]:
        cache.fill(wanted_of(data), Source(data))
    overwrite(cache.path_of(wanted_of(b"3")), b"4")

    wished = [wanted_of(data) for data in contents]
    found = list(cache.paths_of(iter(wished)))
    assert [cache.path_of(wanted) for wanted in wished] == found
    assert 233 == sum(path is not None for path in found)
