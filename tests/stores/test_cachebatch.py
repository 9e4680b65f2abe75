"""Many objects at once into the node cache: what one of them meets stops no other."""

from __future__ import annotations

import os
import threading
import time

import pytest

from dataguard.errors import NoRoomError, StoreUnreachableError, WrongBytesError
from dataguard.model.cache import Marks
from dataguard.sandbox.processes import current_process
from dataguard.stores import cachepart
from dataguard.stores.cachebatch import fill_many
from support.caches import Source, cache_at, wanted_of


@pytest.fixture
def cache(tmp_path):
    with cache_at(tmp_path / "cache") as made:
        yield made


def content(number):
    return f"object {number}\n".encode() * 50


def items(numbers):
    return [(wanted_of(content(n)), Source(content(n))) for n in numbers]


def test_many_small_objects_are_filled_and_durable_at_once(cache, monkeypatch):
    synced = []
    sync = cachepart.sync_filesystem
    monkeypatch.setattr(cachepart, "sync_filesystem", lambda at: (synced.append(at), sync(at)))
    wished = items(range(600))

    done = list(fill_many(cache, wished))
    assert {wanted for wanted, _ in wished} == {one.wanted for one in done}
    for wanted, source in wished:
        with open(cache.path_of(wanted), "rb") as file:
            assert source.data == file.read()
    assert 3 == len(synced)
    assert (600, sum(wanted.size for wanted, _ in wished)) == cache.index.totals()
    assert [] == os.listdir(os.path.join(cache.place.root, "part"))


def test_what_is_there_or_asked_twice_is_fetched_once(cache):
    (one, two) = items([1, 2])
    cache.fill(*one)
    again = Source(two[1].data)

    done = list(fill_many(cache, [one, two, (two[0], again), one]))
    assert [None] * 4 == [each.problem for each in done]
    assert ([0], [0], []) == (one[1].asked, two[1].asked, again.asked)


def test_large_objects_are_among_them(cache):
    data = os.urandom(9 << 20)
    done = list(fill_many(cache, [(wanted_of(data), Source(data)), *items([1])]))
    assert [None, None] == [each.problem for each in done]
    assert {cache.path_of(each.wanted) for each in done} == {each.path for each in done}


def test_objects_that_cannot_be_had_are_said_and_stop_no_other(cache):
    def unreachable(_start):
        raise StoreUnreachableError("no answer")
        yield b""

    wrong, gone, right = items([1, 2, 3])
    wished = [(wrong[0], Source(b"x" * wrong[0].size)), (gone[0], unreachable), right]
    problems = {one.wanted: type(one.problem) for one in fill_many(cache, wished)}
    expected = {wrong[0]: WrongBytesError, gone[0]: StoreUnreachableError, right[0]: type(None)}
    assert expected == problems
    assert [str(wrong[0])] == [one.object for one in cache.index.incidents(9)]


def test_batch_that_does_not_fit_is_filled_as_far_as_it_does(tmp_path):
    size = len(content(1))
    with cache_at(tmp_path / "cache", marks=Marks(20 * size, 20 * size)) as cache:
        cache.pin("a test", [wanted_of(content(n)) for n in range(18)], current_process())
        done = list(fill_many(cache, items(range(18)), fetching=1))
        assert [None] * 18 == [each.problem for each in done]

        other = [(wanted_of(os.urandom(3 * size)), Source(b""))]
        problems = [each.problem for each in fill_many(cache, other)]
        assert [NoRoomError] == [type(one) for one in problems]


def test_two_that_fill_the_same_objects_in_other_orders_end(cache, monkeypatch):
    """Each holds what the other wants: they must not wait for one another for ever."""
    meet, here, hold = threading.Barrier(2), threading.local(), cachepart.Part.hold

    def held(path, **how):
        if not hasattr(here, "met"):
            here.met = meet.wait(30)
        time.sleep(0.001)
        return hold(path, **how)

    def fill(numbers):
        with cache_at(cache.place.top) as mine:
            problems.extend(one.problem for one in fill_many(mine, items(numbers), fetching=1))

    problems = []
    monkeypatch.setattr(cachepart.Part, "hold", held)
    orders = ([*range(40)], [*reversed(range(40))])
    threads = [threading.Thread(target=fill, args=(order,)) for order in orders]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not any(one.is_alive() for one in threads)
    assert [None] * 80 == problems
