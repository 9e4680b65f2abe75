from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.extents import Extent, common_bytes, own_bytes, shared_bytes

BLOCK = 4096


@st.composite
def files(draw):
    """Extents of a small file: runs of blocks with holes, some shared, some without a place."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        at += draw(st.integers(0, 2)) * BLOCK
        length = draw(st.integers(1, 4)) * BLOCK
        physical = draw(st.integers(0, 6)) * BLOCK
        shared, placed = draw(st.booleans()), draw(st.booleans())
        found.append(Extent(at, physical, length, shared, placed))
        at += length
    return found


def blocks(extents):
    """Where each block of a file lies, by its offset."""
    return {
        one.logical + at: one.physical + at
        for one in extents
        if one.placed
        for at in range(0, one.length, BLOCK)
    }


@given(files(), files())
def test_shared_bytes_are_those_of_a_comparison_block_by_block(left, right):
    mine, theirs = blocks(left), blocks(right)
    same = sum(BLOCK for at, where in mine.items() if theirs.get(at) == where)
    assert same == shared_bytes(left, right) == shared_bytes(right, left)


@given(files(), st.integers(0, 24 * BLOCK))
def test_own_bytes_are_unshared_blocks_up_to_the_end(extents, size):
    own = {
        one.logical + at
        for one in extents
        if one.placed and not one.shared
        for at in range(0, one.length, BLOCK)
    }
    assert sum(BLOCK for at in own if at < size) == own_bytes(extents, size, BLOCK)


@given(st.lists(files(), max_size=4))
def test_common_bytes_are_those_of_blocks_that_two_files_have(several):
    users = Counter(
        place
        for one in several
        for place in {e.physical + at for e in one for at in range(0, e.length, BLOCK)}
    )
    assert sum(BLOCK for count in users.values() if count > 1) == common_bytes(several)
