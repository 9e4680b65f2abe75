"""Names of files with several links, and directories by inode number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.watchers.linkedfiles import InodeIndex, LinkedFiles

LISTINGS = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.lists(st.integers(0, 9), max_size=6)),
    max_size=8,
)


@given(LISTINGS, st.integers(0, 9))
def test_index_finds_the_directories_of_a_number(listings, number):
    index = InodeIndex()
    known = {}
    for directory, numbers in listings:
        index.replace({directory: numbers})
        known[directory] = numbers
    wanted = sorted({directory for directory, numbers in known.items() if number in numbers})
    assert wanted == sorted(set(index.find(number)))


@given(LISTINGS)
def test_index_grows_after_it_was_asked(listings):
    index = InodeIndex()
    for position, (_, numbers) in enumerate(listings):
        index.add(b"%d" % position, numbers)
        assert all(b"%d" % position in set(index.find(one)) for one in numbers)
    assert sum(len(numbers) for _, numbers in listings) == len(index)


def test_names_are_learned_and_forgotten():
    linked = LinkedFiles()
    linked.add(b"file", b"dir", b"one")
    linked.add(b"file", b"dir", b"two")
    linked.add(b"file", b"dir", b"two")
    assert ((b"dir", b"one"), (b"dir", b"two")) == linked.names(b"file")
    linked.remove(b"file", b"dir", b"one")
    assert ((b"dir", b"two"),) == linked.names(b"file")
    linked.remove(b"file", b"dir", b"two")
    assert b"file" not in linked
