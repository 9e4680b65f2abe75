from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.membership import Membership
from support.entrybatches import batch_of, batches_of, file

NAMES = st.binary(min_size=1, max_size=2).filter(lambda name: b"\0" not in name)


@given(st.sets(NAMES, max_size=12), st.lists(NAMES, max_size=12), st.lists(st.integers(0, 4)))
@settings(deadline=None)
def test_answers_agree_with_a_set(names, asked, cuts):
    member = Membership(batches_of([file(name) for name in names], cuts))
    assert [path in names for path in sorted(asked)] == [
        member.contains(path) for path in sorted(asked)
    ]


def test_the_same_path_may_be_asked_twice():
    member = Membership([batch_of([file(b"a"), file(b"b")])])
    assert [True, True, False, False] == [member.contains(p) for p in (b"b", b"b", b"c", b"c")]


def test_nothing_is_in_an_empty_stream():
    assert not Membership(()).contains(b"a")
    assert not Membership([batch_of([])]).contains(b"a")


def test_the_stream_is_drawn_no_further_than_asked():
    drawn = []

    def stream():
        for name in (b"a", b"c", b"e"):
            drawn.append(name)
            yield batch_of([file(name)])

    member = Membership(stream())
    assert not member.contains(b"b")
    assert [b"a", b"c"] == drawn
