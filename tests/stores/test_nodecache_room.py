"""Room in the node cache: what was not used for longest goes, what is pinned never."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.errors import NoRoomError
from dataguard.model.actor import Process
from dataguard.model.cache import Marks
from dataguard.sandbox.processes import current_process, is_alive
from dataguard.stores import cachescrub, nodecache
from dataguard.stores.cacheprune import prune
from dataguard.stores.cachescrub import scrub
from support.caches import Source, Ticking, cache_at, wanted_of
from support.killpoints import kill_everywhere, why_no_strace

HIGH, LOW = 60_000, 30_000
TESTS = Path(__file__).resolve().parents[1]


def content(number, size=10_000):
    return number.to_bytes(4, "big") * (size // 4)


def fill(cache, *numbers, size=10_000):
    for number in numbers:
        data = content(number, size)
        cache.fill(wanted_of(data), Source(data))


def there(cache, numbers, size=10_000):
    return [n for n in numbers if cache.path_of(wanted_of(content(n, size)))]


def alive(pin):
    return is_alive(pin.process) is not False


@pytest.fixture
def cache(tmp_path):
    marks = Marks(HIGH, LOW)
    with cache_at(tmp_path / "cache", marks=marks, clock=Ticking(), holds=alive) as made:
        yield made


def test_least_recently_used_go_down_to_the_low_mark(cache):
    fill(cache, 1, 2, 3, 4, 5, 6)
    assert there(cache, [1, 2])
    cache.close()  # notes the uses

    fill(cache, 7)
    assert [1, 2, 7] == there(cache, range(8))
    assert (3, LOW) == cache.index.totals()


def test_pinned_objects_stay_whatever_comes(cache):
    pinned = [wanted_of(content(n)) for n in (1, 2)]
    name = cache.pin("a test", pinned, current_process())
    fill(cache, *range(1, 20))
    assert [1, 2] == there(cache, [1, 2])

    cache.pins.release(name)
    fill(cache, *range(20, 30))
    assert [] == there(cache, [1, 2])


def test_no_room_beside_what_is_pinned_is_said_before_anything_is_fetched(cache):
    cache.pin("a test", [wanted_of(content(n)) for n in range(1, 6)], current_process())
    fill(cache, 1, 2, 3, 4, 5, 6)

    source = Source(content(9, 20_000))
    with pytest.raises(NoRoomError, match="no room for 20000 bytes"):
        cache.fill(wanted_of(source.data), source)
    assert [] == source.asked
    assert [1, 2, 3, 4, 5, 6] == there(cache, range(8))


def test_object_larger_than_the_high_mark_is_refused(cache):
    fill(cache, 1)
    data = content(9, HIGH + 4)
    with pytest.raises(NoRoomError):
        cache.fill(wanted_of(data), Source(data))
    assert [1] == there(cache, [1])


def test_pins_of_processes_end_with_them_and_those_of_leases_do_not(cache):
    here = current_process()
    gone = Process(here.host, here.boot_id, here.pid, here.started + 1, here.namespace)
    elsewhere = Process("other.example", "another-boot", 1, 1)
    pinned = [wanted_of(content(n)) for n in range(3)]
    for process, one in zip((gone, here, elsewhere), pinned, strict=True):
        cache.pin("a test", [one], process)

    prune(cache, 0, left_before=0)
    assert {here.pid, 1} == {one.process.pid for one in cache.pins.all() if alive(one)}
    assert [1, 1] == [one.count for one in cache.pins.all()]


def test_pin_of_a_lease_is_replaced_by_the_next_and_released_by_name(cache):
    here = current_process()
    for count in (1, 2):
        objects = [wanted_of(content(n)) for n in range(count)]
        cache.pin("mount:/work/data/faces", objects, here, lasting=True)
    assert [2] == [one.count for one in cache.pins.all()]

    cache.pins.release_lease("mount:/work/data/faces")
    assert () == cache.pins.all()


def test_reader_goes_on_while_its_file_is_evicted(cache):
    fill(cache, 1)
    with open(cache.path_of(wanted_of(content(1))), "rb") as file:
        fill(cache, *range(2, 12))
        assert [] == there(cache, [1])
        assert content(1) == file.read()


def test_prune_goes_down_to_a_size_and_says_what_went(cache):
    fill(cache, 1, 2, 3, 4, 5)
    wished = prune(cache, 25_000, left_before=0, dry_run=True)
    assert [1, 2, 3, 4, 5] == there(cache, range(8))
    cache.close()

    assert wished == prune(cache, 25_000, left_before=0)
    assert (3, 30_000) == (wished.files, wished.bytes)
    assert (2, 20_000) == cache.index.totals()


def test_prune_of_everything_takes_left_parts_and_unknown_files(cache):
    fill(cache, 1, 2)
    unknown = unknown_file(cache, b"unknown")
    Path(cache.place.part_of(wanted_of(b"left"))).write_bytes(b"le")
    held = cache.held(wanted_of(b"held"), wait=True)

    gone = prune(cache, 0, left_before=2**40)
    assert (3, 1) == (gone.files, gone.parts)
    assert not unknown.exists()
    assert [os.path.basename(held.path)] == os.listdir(Path(cache.place.root) / "part")
    held.close()


def unknown_file(cache, data):
    """Put a content where it belongs without a word to the index."""
    cache.prepare()
    path = Path(cache.place.file_of(wanted_of(data)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_prune_tells_of_unknown_files_beforehand_what_it_will_do(cache):
    here = current_process()
    gone = Process(here.host, here.boot_id, here.pid, here.started + 1, here.namespace)
    for process, data in ((gone, b"let go"), (here, b"needed")):
        unknown_file(cache, data)
        cache.pin("a test", [wanted_of(data)], process)

    wished = prune(cache, 0, left_before=0, dry_run=True)
    assert wished == prune(cache, 0, left_before=0)
    assert (1, len(b"let go")) == (wished.files, wished.bytes)
    assert os.path.exists(cache.place.file_of(wanted_of(b"needed")))


def test_prune_of_everything_holds_no_list_of_what_is_pinned(cache):
    unknown = unknown_file(cache, b"unknown")
    many = (wanted_of(b"%d" % number) for number in range(20_000))
    cache.pin("a test", many, current_process())

    tracemalloc.start()
    try:
        prune(cache, 0, left_before=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not unknown.exists()
    assert peak < 1 << 20


def test_whoever_makes_room_meets_no_object_that_is_named_and_not_recorded(cache, monkeypatch):
    """Its record would come after it went, and count bytes that are not there."""

    def prune_all():
        with cache_at(cache.place.top) as other:
            prune(other, 0, left_before=0)

    def recorded(objects, now):
        named = list(objects)
        pruning.start()
        pruning.join(0.5)
        add(named, now)

    pruning, add = threading.Thread(target=prune_all), cache.index.add
    monkeypatch.setattr(cache.index, "add", recorded)
    fill(cache, 1)
    pruning.join(60)
    assert ((0, 0), []) == (cache.index.totals(), there(cache, [1]))


def test_damaged_object_is_not_removed_in_place_of_the_one_that_came_anew(cache, monkeypatch):
    fill(cache, 1)
    path = cache.path_of(wanted_of(content(1)))
    os.chmod(path, 0o644)
    Path(path).write_bytes(content(9))

    def fill_anew():
        with cache_at(cache.place.top) as other:
            fill(other, 1)

    def looked_at(*where):
        found = look_at(*where)
        if threading.current_thread() is threading.main_thread() and not filling.ident:
            filling.start()
            filling.join(0.5)
        return found

    filling, look_at = threading.Thread(target=fill_anew), nodecache.look_at
    monkeypatch.setattr(nodecache, "look_at", looked_at)
    assert 1 == sum(bool(one.problem) for one in scrub(cache, lambda: False))
    filling.join(60)
    assert [1] == there(cache, [1])


def test_scrub_reads_what_was_longest_not_read_and_removes_what_is_damaged(cache):
    fill(cache, 1, 2, 3)
    path = cache.path_of(wanted_of(content(2)))
    os.chmod(path, 0o644)
    Path(path).write_bytes(content(9))

    tried = [one.problem for one in scrub(cache, lambda: False, dry_run=True)]
    assert 3 == len(tried)
    assert os.path.exists(path)
    problems = {one.path: one.problem for one in scrub(cache, lambda: False)}
    assert {path: "its content is not what its name says"} == {
        one: said for one, said in problems.items() if said
    }
    assert [1, 3] == there(cache, [1, 2, 3])
    assert ["removed from the cache: its content is not what its name says"] == [
        one.what for one in cache.index.incidents(9)
    ]


def test_scrub_that_is_out_of_time_goes_on_where_it_was(cache):
    fill(cache, 1, 2, 3, 4)
    first = [one.path for one in zip_until(scrub, cache, 2)]
    second = [one.path for one in zip_until(scrub, cache, 2)]
    assert 4 == len({*first, *second})


def zip_until(action, cache, count):
    """Let an action go on until it has looked so often whether its time is over."""
    looks = iter([False] * count)
    return action(cache, lambda: next(looks, True))


def test_scrub_takes_up_what_is_not_known(cache):
    fill(cache, 1)
    path = cache.path_of(wanted_of(content(1)))
    os.unlink(cache.index.path)
    cache.index.close()
    cache.prepare()

    assert [""] == [one.problem for one in scrub(cache, lambda: False)]
    assert path == cache.path_of(wanted_of(content(1)))


def test_scrub_does_not_take_up_what_went_meanwhile(cache, monkeypatch):
    fill(cache, 1)
    os.unlink(cache.index.path)
    cache.index.close()
    cache.prepare()

    def read_and_gone(path, wanted):
        found = digest_of(path, wanted)
        os.unlink(path)
        return found

    digest_of = cachescrub.digest_of
    monkeypatch.setattr(cachescrub, "digest_of", read_and_gone)
    assert [""] == [one.problem for one in scrub(cache, lambda: False)]
    assert (0, 0) == cache.index.totals()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["fill"] * 5 + ["use", "pin", "release"]), st.integers(0, 9)),
        min_size=12,
        max_size=25,
    )
)
def test_cache_does_what_a_naive_model_does(steps):
    """Marks hold, what is pinned stays, and what goes is what was not used for longest."""
    with tempfile.TemporaryDirectory() as top:
        clock = Ticking()
        with cache_at(f"{top}/cache", marks=Marks(5000, 3000), clock=clock) as cache:
            Model(cache).follow(steps)


class Model:
    """The names in order of use, and how often each is pinned."""

    def __init__(self, cache):
        self.cache, self.kept, self.pins = cache, [], {}

    def follow(self, steps):
        for step, number in steps:
            getattr(self, step)(number)
            found = there(self.cache, range(10), 1000)
            self.cache.close()
            self.kept.sort()
            assert sorted(number for _, number in self.kept) == found
            # Looking was a use too, in the order of the numbers.
            self.kept = [(at, number) for at, number in enumerate(found)]

    def fill(self, number):
        held = [n for _, n in self.kept]
        if number in held:
            return fill(self.cache, number, size=1000)
        gone = self.gone(held)
        if gone is None:
            with pytest.raises(NoRoomError):
                fill(self.cache, number, size=1000)
            return None
        fill(self.cache, number, size=1000)
        self.kept = [one for one in self.kept if one[1] not in gone] + [(99, number)]
        return None

    def gone(self, held):
        if len(held) + 1 <= 5:
            return []
        free = [n for n in held if n not in self.pins]
        return free[: len(held) + 1 - 3] if free else None

    def use(self, number):
        there(self.cache, [number], 1000)

    def pin(self, number):
        if number not in self.pins:
            data = wanted_of(content(number, 1000))
            self.pins[number] = self.cache.pin("law", [data], current_process())

    def release(self, number):
        if number in self.pins:
            self.cache.pins.release(self.pins.pop(number))


def test_full_disk_is_said_before_anything_is_fetched_and_leaves_the_cache_whole(loop_ext4):
    """Without the marks' help: another one fills the disk while the cache thinks there is room."""
    with cache_at(f"{loop_ext4.top}/cache", holds=alive) as cache:
        fill(cache, 1, size=4 << 20)
        cache.pin("a test", [wanted_of(content(1, 4 << 20))], current_process())
        with open(f"{loop_ext4.top}/other", "wb") as other:
            free = os.statvfs(loop_ext4.top)
            os.posix_fallocate(other.fileno(), 0, free.f_bavail * free.f_frsize - (8 << 20))
        data = content(2, 20 << 20)
        source = Source(data)
        with pytest.raises(NoRoomError):
            cache.fill(wanted_of(data), source)
        assert [] == source.asked
        assert [1] == there(cache, [1], 4 << 20)

        os.unlink(f"{loop_ext4.top}/other")
        fill(cache, 2, size=20 << 20)


def test_disk_that_fills_up_takes_the_place_of_what_is_not_used(loop_ext4):
    with cache_at(f"{loop_ext4.top}/cache") as cache:
        fill(cache, *range(12), size=8 << 20)
        assert 11 in there(cache, range(12), 8 << 20)
        assert 0 not in there(cache, range(12), 8 << 20)


PRUNING = """
import sys
from support.caches import cache_at
from dataguard.stores.cacheprune import prune
with cache_at(sys.argv[1]) as cache:
    prune(cache, 0, left_before=2**40)
"""


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
@pytest.mark.parametrize("spread", [3, pytest.param(12, marks=pytest.mark.long)])
def test_eviction_killed_anywhere_leaves_right_objects_or_none(tmp_path, spread):
    place = tmp_path / "cache"
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    environment = {**os.environ, "PYTHONPATH": paths}

    def prepare():
        subprocess.run(["rm", "-rf", place], check=True)
        with cache_at(place) as cache:
            fill(cache, *range(6))
            cache.pin("a test", [wanted_of(content(3))], current_process())

    def check(_point):
        with cache_at(place) as cache:
            left = there(cache, range(6))
            assert 3 in left
            for number in left:
                path = cache.path_of(wanted_of(content(number)))
                assert content(number) == Path(path).read_bytes()
            prune(cache, 0, left_before=2**40)
            assert ([3], 1) == (there(cache, range(6)), cache.index.totals()[0])

    died = kill_everywhere(
        [sys.executable, "-c", PRUNING, str(place)],
        prepare=prepare,
        check=check,
        syscalls=("unlink", "fdatasync", "pwrite64", "flock", "rmdir"),
        spread=spread,
        environment=environment,
    )
    assert died > 5
