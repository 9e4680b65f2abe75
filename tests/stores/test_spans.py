from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataguard.core.chunkmatch import Hit
from dataguard.stores import spans
from dataguard.stores.spans import common_span

EVERYWHERE = (0, 1 << 62)
PART = st.binary(max_size=12)
CHUNK = st.binary(min_size=1, max_size=40)


@pytest.fixture
def two(tmp_path):
    """Return what makes two open files of two contents."""
    opened = []

    def make(*contents):
        for number, content in enumerate(contents):
            path = tmp_path / str(number)
            path.write_bytes(content)
            opened.append(os.open(path, os.O_RDONLY))
        return opened[-2:]

    yield make
    for one in opened:
        os.close(one)


def naive(left, right, shift, first, last):
    """The longest run of equal bytes that holds all from `first` to `last`, byte by byte."""
    same = [
        0 <= at + shift < len(right) and one == right[at + shift] for at, one in enumerate(left)
    ]
    if not all(same[first:last]):
        return None
    start, end = first, last
    while start > 0 and same[start - 1]:
        start -= 1
    while end < len(left) and same[end]:
        end += 1
    return start, end


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(PART, PART), CHUNK, st.tuples(PART, PART), st.integers(1, 7))
def test_spans_go_as_far_as_the_same_bytes_do(two, before, chunk, behind, piece):
    left, right = (one + chunk + other for one, other in zip(before, behind, strict=True))
    start, other = map(len, before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_PIECE", piece)
        hit = Hit(start, len(chunk), 1, 2, other)
        span = common_span(*two(left, right), hit, EVERYWHERE)
    expected = naive(left, right, other - start, start, start + len(chunk))
    assert expected == (span.offset, span.end)
    assert (1, 2, span.offset + other - start) == (span.version, span.row, span.original)


def test_what_differs_within_the_chunk_is_no_span(two):
    assert common_span(*two(b"abcdef", b"abXdef"), Hit(1, 4, 0, 0, 1), EVERYWHERE) is None
    assert common_span(*two(b"abcdef", b"abc"), Hit(1, 4, 0, 0, 1), EVERYWHERE) is None


def test_nothing_outside_the_room_is_told(two):
    span = common_span(*two(b"a" * 100, b"a" * 90), Hit(10, 20, 0, 0, 5), (12, 40))
    assert (12, 40) == (span.offset, span.end)
