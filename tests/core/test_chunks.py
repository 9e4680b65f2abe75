from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.chunks import Chunking, chunk_ends, gear_table

SMALL = Chunking(bits=4, least=8, most=64)
PINNED = [2772714264, 3863567798]


def scalar(data, chunking):
    """Cut byte by byte, as the definition says."""
    table, found, start, h = gear_table().tolist(), [], 0, 0
    for at, byte in enumerate(data, 1):
        h = ((h << 1) + table[byte]) & 0xFFFFFFFF
        if at - start >= chunking.most or (
            h < 1 << (32 - chunking.bits) and at - start >= chunking.least
        ):
            found.append(at)
            start = at
    return found + [len(data)] * (start < len(data))


@given(st.binary(max_size=2000), st.lists(st.integers(1, 300), max_size=8))
def test_cuts_are_those_of_a_loop_over_the_bytes_however_they_come(data, lengths):
    pieces, at = [], 0
    for length in lengths:
        pieces.append(data[at : at + length])
        at += length
    pieces.append(data[at:])
    assert scalar(data, SMALL) == list(chunk_ends(pieces, SMALL))


@pytest.mark.parametrize(
    "size", [0, 1, 31, 32, 33, (1 << 17) - 1, 1 << 17, (1 << 17) + 31, 400_000]
)
def test_cuts_do_not_depend_on_the_blocks_in_which_they_are_computed(size):
    data = random.Random(size).randbytes(size)
    chunking = Chunking(bits=8, least=64, most=2048)
    assert scalar(data, chunking) == list(chunk_ends([data], chunking))


@given(st.binary(max_size=3000))
def test_chunks_keep_their_bounds_and_cover_the_file(data):
    ends = list(chunk_ends([data], SMALL))
    lengths = np.diff([0, *ends]).tolist()
    assert len(data) == sum(lengths)
    assert all(length <= SMALL.most for length in lengths)
    assert all(length >= SMALL.least for length in lengths[:-1])


def chunks(data, chunking):
    ends = [0, *chunk_ends([data], chunking)]
    return {data[a:b] for a, b in pairwise(ends)}


@pytest.mark.parametrize("shift", [1, 17, 70_001])
def test_nearly_all_chunks_of_an_embedded_part_are_found_again(shift):
    chance, chunking = random.Random(3), Chunking(bits=12, least=1 << 10, most=1 << 14)
    gold = chance.randbytes(1 << 20)
    other = chance.randbytes(shift) + gold + chance.randbytes(5000)
    known, found = chunks(gold, chunking), chunks(other, chunking)
    assert sum(map(len, known & found)) >= 0.95 * len(gold)


def test_the_table_is_pinned():
    table = gear_table().tolist()
    assert 256 == len(set(table))
    assert [table[0], table[255]] == PINNED
