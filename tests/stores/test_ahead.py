from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.stores.ahead import ahead


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=20), st.integers(1, 4))
@settings(deadline=None)
def test_items_come_unchanged_and_in_order(items, depth):
    assert items == list(ahead(iter(items), depth))


def test_items_are_made_in_one_other_thread_and_no_further_than_the_depth():
    made, threads = [], set()

    def items():
        for number in range(20):
            threads.add(threading.get_ident())
            made.append(number)
            yield number

    stream = ahead(items(), 2)
    for taken in range(1, 10):
        next(stream)
        assert len(made) <= taken + 2
    stream.close()
    assert len(made) <= 12
    assert 1 == len(threads - {threading.get_ident()}) == len(threads)


def test_what_the_stream_raises_comes_at_its_place():
    def items():
        yield 1
        yield 2
        raise ValueError("third")

    stream = ahead(items(), 3)
    assert [1, 2] == [next(stream), next(stream)]
    with pytest.raises(ValueError, match="third"):
        next(stream)


def test_stopping_early_ends_the_thread_and_closes_the_stream():
    closed = []

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    before = threading.active_count()
    stream = ahead(items(), 2)
    next(stream)
    stream.close()
    assert before == threading.active_count()
    assert [True] == closed
