"""Files read on demand by blocks: whatever is read is theirs, and wrong content is not given."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.digest import Algorithm
from dataguard.model.entry import Kind
from dataguard.model.pinned import PinnedEntry
from dataguard.stores import blocks as blocks_module
from dataguard.stores import demand as demand_module
from dataguard.stores.blocks import Blocks
from dataguard.stores.demand import Demanded, Reader, WrongDigestError
from dataguard.stores.pinnedsource import ChangedGoldError

SMALL = 10
XXH3 = Algorithm.XXH3_128


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        for module in (blocks_module, demand_module):
            patch.setattr(module, "BLOCK", SMALL)
        yield


class Source:
    """Content in memory, and what was asked of it."""

    place = "s3://bucket/a"

    def __init__(self, data, *, size=None):
        self.data, self.size, self.asked = data, len(data) if size is None else size, []

    def read(self, offset, length):
        self.asked.append((offset, length))
        return self.data[offset : offset + length]


def file_of(source, expected=None, capacity=1 << 20):
    digest = xxhash.xxh3_128_digest(source.data if expected is None else expected)
    entry = PinnedEntry(b"a", Kind.FILE, source.size, digest)
    return Demanded(entry, source, XXH3, Blocks(capacity))


def content(size):
    return bytes(number % 251 for number in range(size))


@given(
    size=st.integers(0, 200),
    parts=st.lists(st.tuples(st.integers(0, 220), st.integers(0, 60)), max_size=12),
)
def test_any_part_is_what_the_file_has_there(size, parts):
    data = content(size)
    file = file_of(Source(data))
    reader = Reader(file)
    for offset, length in parts:
        assert data[offset : offset + length] == reader.read(offset, length)
    file.blocks.close()


@given(size=st.integers(1, 200), step=st.integers(1, 25), wrong=st.integers(0, 199))
def test_wrong_content_read_to_its_end_is_refused_before_its_last_block(size, step, wrong):
    data = bytearray(content(size))
    data[wrong % size] ^= 1
    file = file_of(Source(bytes(data)), content(size))
    got: list[bytes] = []
    with pytest.raises(WrongDigestError):
        read_on(Reader(file), range(0, size, step), step, got)
    assert sum(map(len, got)) <= size // SMALL * SMALL
    assert not file.is_verified
    with pytest.raises(WrongDigestError):
        Reader(file).read(0, 1)
    file.blocks.close()


def read_on(reader, offsets, step, got):
    for offset in offsets:
        got.append(reader.read(offset, step))


@given(order=st.permutations(range(8)))
def test_file_read_out_of_turn_is_verified_once_all_was_read(order):
    file = file_of(Source(content(75)))
    for number in order[:-1]:
        file.block(number)
    assert not file.is_verified
    file.block(order[-1])
    assert file.is_verified
    file.blocks.close()


def test_block_is_fetched_once_for_all_who_wait(monkeypatch):
    source, free = Source(content(10)), threading.Event()
    plain = source.read
    monkeypatch.setattr(source, "read", lambda *where: (free.wait(30), plain(*where))[1])
    file = file_of(source)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(Reader(file).read, 0, 10) for _ in range(4)]
        free.set()
        assert [content(10)] * 4 == [one.result() for one in waiting]
    assert [(0, 10)] == source.asked
    file.blocks.close()


def test_blocks_keep_what_was_used_last_and_no_more():
    source = Source(content(1000))
    file = file_of(source, capacity=0)
    for number in range(100):
        file.block(number)
    there = [number for number in range(100) if file.blocks.there(b"a", number) is not None]
    assert list(range(84, 100)) == there
    file.blocks.close()


def test_who_reads_on_has_blocks_asked_for_beforehand_and_others_have_not():
    source = Source(content(1000))
    file = file_of(source)
    reader = Reader(file)
    reader.read(500, 5)
    reader.read(100, 5)
    file.blocks.close()
    assert [(500, 10), (100, 10)] == source.asked
    source.asked.clear()
    file = file_of(source)
    reader = Reader(file)
    for offset in range(0, 40, 5):
        reader.read(offset, 5)
    file.blocks.close()
    assert len(source.asked) > 4
    assert len(set(source.asked)) == len(source.asked)


def test_failure_is_told_to_all_who_wait_and_tried_again_later():
    source = Source(content(25), size=30)
    file = file_of(source)
    with pytest.raises(ChangedGoldError, match="ends at 25"):
        Reader(file).read(20, 10)
    source.data = content(30)
    assert content(30)[20:] == Reader(file).read(20, 10)
    file.blocks.close()
