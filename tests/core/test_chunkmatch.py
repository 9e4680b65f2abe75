from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.chunkmatch import (
    ChunkColumns,
    Chunks,
    Cover,
    Hit,
    Span,
    covered,
    index_of,
    part_told,
    promising,
)
from dataguard.core.chunks import Chunking, chunk_ends, is_plain
from dataguard.core.lookup import lookup
from dataguard.core.partial import Part

FEW = st.integers(0, 5)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)))
SMALL = Chunking(bits=6, least=32, most=512)
MILLION = 1_000_000


def numbered(values, kind=np.int64):
    return np.array(values, kind)


@given(st.lists(FEW).map(sorted), st.lists(FEW), st.integers(1, 3))
def test_of_each_digest_so_many_places_are_found(known, wanted, most):
    queries, at = lookup(numbered(known), numbered(wanted), most=most)
    expected = [
        (query, known.index(one) + place)
        for query, one in enumerate(wanted)
        for place in range(min(known.count(one), most))
    ]
    assert expected == list(zip(queries.tolist(), at.tolist(), strict=True))


def test_a_million_random_digests_are_found_nowhere():
    chance = np.random.default_rng(5)
    known, wanted = (chance.integers(0, 1 << 64, MILLION, np.uint64) for _ in range(2))
    none = np.zeros(MILLION, np.int64)
    index = index_of(ChunkColumns(known, none, none, none))
    assert [] == list(index.find(Chunks(wanted, none, none), 0, most=16))
    assert MILLION == len(list(index.find(Chunks(known, none, none), 0, most=16)))


def test_a_chunk_of_another_length_is_no_hit():
    one = numbered([1])
    index = index_of(ChunkColumns(numbered([7], np.uint64), one, one, one))
    chunks = Chunks(numbered([7, 7], np.uint64), numbered([5, 9]), numbered([1, 2]))
    assert [Hit(5, 1, 3, 1, 1)] == list(index.find(chunks, 3, most=9))


@given(SPANS)
def test_spans_never_overlap_and_all_that_was_hit_is_covered(hits):
    cover, known = Cover(), set()
    for offset, length in hits:
        hit = Hit(offset, length, 0, 0, offset)
        wanted = set(range(offset, offset + length))
        room = cover.room(hit)
        if room is None:
            assert wanted <= known or cover.spans
            continue
        start, end = max(room[0], offset), min(room[1], offset + length)
        assert known.isdisjoint(range(start, end))
        cover.add(Span(start, end - start, 0, 0, start))
        known |= set(range(start, end))
    ends = [(one.offset, one.end) for one in cover.spans]
    assert sorted(ends) == ends
    assert len(known) == sum(one.length for one in cover.spans)


@given(SPANS)
def test_bytes_of_an_original_are_counted_once(pairs):
    spans = [Span(0, length, 0, 0, offset) for offset, length in pairs]
    expected = {at for offset, length in pairs for at in range(offset, offset + length)}
    assert len(expected) == covered(spans)


def test_hits_that_agree_on_most_bytes_come_first():
    lone, first, second = Hit(0, 25, 0, 1, 0), Hit(0, 20, 0, 2, 50), Hit(20, 10, 0, 2, 70)
    assert [first, second, lone] == promising([lone, second, first])


def test_how_a_file_relates_to_an_original():
    assert Part.EMBEDDED is part_told([Span(5, 10, 0, 0, 0)], 20, 10)
    assert Part.EXCERPT is part_told([Span(0, 10, 0, 0, 5)], 10, 20)
    assert Part.SHIFTED is part_told([Span(5, 10, 0, 0, 5)], 20, 20)
    assert Part.SHIFTED is part_told([Span(0, 5, 0, 0, 0), Span(6, 5, 0, 0, 5)], 11, 10)


@given(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=300), st.integers(0, 19_999))
def test_what_is_inserted_changes_the_cuts_near_it_alone(seed, inserted, at):
    data = random.Random(seed).randbytes(20_000)
    before = list(chunk_ends([data], SMALL))
    after = list(chunk_ends([data[:at] + inserted + data[at:]], SMALL))
    assert [end for end in before if end <= at] == [end for end in after if end <= at]
    moved = {end - len(inserted) for end in after}
    far = at + 20 * SMALL.most  # where both have met again
    assert {end for end in before if end > far} == {end for end in moved if end > far}


@given(st.binary(min_size=1, max_size=16).filter(lambda one: len(one) not in {11, 13}))
def test_what_repeats_a_few_bytes_is_plain(pattern):
    assert is_plain((pattern * 40_000)[:40_000])


def test_what_differs_anywhere_is_not_plain():
    for at in (0, 5_000, 15_000, 39_999):
        data = bytearray(40_000)
        data[at] = 1
        assert not is_plain(bytes(data))
    assert not is_plain(random.Random(1).randbytes(40_000))
    assert not is_plain(b"")
