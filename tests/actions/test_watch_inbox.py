"""The inbox of a watcher."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.actions.watchthreads import Failed, Inbox, Seen

MESSAGES = st.one_of(
    st.integers(0, 5).map(lambda count: Seen((None,) * count)),
    st.just(Failed(ValueError("anything"))),
)


@given(st.lists(MESSAGES), st.integers(0, 50))
def test_sightings_are_those_that_were_not_taken_out(messages, taken):
    inbox = Inbox()
    for message in messages:
        inbox.put(message)
    for _ in messages[:taken]:
        inbox.get()
    left = [one for one in messages[taken:] if isinstance(one, Seen)]
    assert sum(len(one.sightings) for one in left) == inbox.sightings
