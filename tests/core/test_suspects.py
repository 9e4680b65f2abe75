from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.suspects import LATEST_S, Suspects
from dataguard.model.watch import ChangeKind, WatchEvent, Writer

ROOT = b"/gold"
TIME = datetime(2030, 1, 1, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"b", b"c/d"]),
        st.sampled_from(ChangeKind),
        st.floats(0, 0.3, allow_nan=False),
    ),
    max_size=40,
)


def event(name, kind=ChangeKind.CLOSED, **more):
    return WatchEvent(ROOT, ROOT + b"/" + name, kind, TIME, **more)


@given(STEPS)
def test_every_path_comes_out_no_later_than_a_second_after_it_came(steps):
    suspects, now = Suspects(), 0.0
    waiting: dict[bytes, float] = {}
    for name, kind, pause in steps:
        now += pause
        for one in suspects.due(now, most=100):
            assert waiting.pop(one.path) == one.first
        # Whoever asks in time gets what is due; what is left is not.
        assert all(now - first < LATEST_S + 0.3 for first in waiting.values())
        suspects.add(event(name, kind), now)
        waiting.setdefault(event(name).path, now)
        assert len(waiting) == len(suspects)
    assert {*waiting} == {one.path for one in suspects.due(now + LATEST_S, most=100)}
    assert 0 == len(suspects)
    assert suspects.next_due() is None


def test_closed_file_is_due_at_once_and_one_being_written_later():
    suspects = Suspects()
    suspects.add(event(b"written", ChangeKind.MODIFIED), 0.0)
    suspects.add(event(b"closed"), 0.0)
    assert [ROOT + b"/closed"] == [one.path for one in suspects.due(0.05, most=9)]
    assert [] == suspects.due(0.1, most=9)
    assert [ROOT + b"/written"] == [one.path for one in suspects.due(0.25, most=9)]


def test_events_of_a_path_are_one_suspect_that_remembers_all():
    suspects = Suspects()
    for kind in (ChangeKind.CREATED, ChangeKind.MODIFIED, ChangeKind.CLOSED):
        suspects.add(event(b"a", kind), 0.0)
    [one] = suspects.due(1.0, most=9)
    assert ({ChangeKind.CREATED, ChangeKind.MODIFIED, ChangeKind.CLOSED}, 3) == (
        one.kinds,
        one.events,
    )


def test_rename_within_a_root_is_two_suspects_and_from_outside_one():
    suspects = Suspects()
    suspects.add(event(b"b", ChangeKind.RENAMED, renamed_from=ROOT + b"/a"), 0.0)
    suspects.add(event(b"d", ChangeKind.RENAMED, renamed_from=b"/goldish/c"), 0.0)
    found = {one.path: (one.renamed_from, one.renamed_to) for one in suspects.due(1.0, most=9)}
    assert {
        ROOT + b"/a": (None, ROOT + b"/b"),
        ROOT + b"/b": (ROOT + b"/a", None),
        ROOT + b"/d": (b"/goldish/c", None),
    } == found


def test_what_is_forgotten_does_not_come_out():
    suspects = Suspects()
    suspects.add(event(b"a"), 0.0)
    assert (0, 1) == (suspects.forget(b"/other"), suspects.forget(ROOT))
    assert [] == suspects.due(9.0, most=9)


def test_number_alone_hides_no_writer_that_is_known():
    suspects, known = Suspects(), Writer(pid=7, number=7)
    for writer in (Writer(number=5), known, Writer(number=6), None):
        suspects.add(event(b"a", writer=writer), 0.0)
    [found] = suspects.due(10.0, most=1)
    assert found.writer == known
