"""Paths from a tree of names, against paths that were put together one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataguard.watchers.directorytree import DirectoryTree

KEYS = st.integers(0, 12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS, KEYS, st.sampled_from([b"a", b"b", b"c"])),
        st.tuples(st.just("discard"), KEYS),
        st.tuples(st.just("root"), KEYS, st.sampled_from([b"/one", b"/two", b"/one/in"])),
        st.tuples(st.just("drop"), st.sampled_from([b"/one", b"/two"])),
        st.tuples(st.just("ask"), KEYS),
    ),
    max_size=40,
)


class Naive:
    """The same by going up every time."""

    def __init__(self):
        self.parents, self.roots = {}, {}

    def places(self, key):
        found, below, seen = [], b"", set()
        while key not in seen:
            seen.add(key)
            found += [(root, root + below) for root in self.roots.get(key, [])]
            if key not in self.parents:
                return found
            key, name = self.parents[key]
            below = b"/" + name + below
        return None  # a ring: what it says then is not defined


@given(STEPS)
def test_places_are_those_of_a_naive_model(steps):
    tree, naive = DirectoryTree(), Naive()
    for step, *values in steps:
        match step:
            case "add":
                key, parent, name = values
                tree.add(key, parent, name)
                naive.parents[key] = (parent, name)
            case "discard":
                tree.discard(values[0])
                naive.parents.pop(values[0], None)
            case "root":
                key, root = values
                tree.add_root(key, root)
                if root not in naive.roots.setdefault(key, []):
                    naive.roots[key].append(root)
            case "drop":
                tree.drop_root(values[0])
                naive.roots = {
                    key: kept
                    for key, roots in naive.roots.items()
                    if (kept := [one for one in roots if one != values[0]])
                }
            case "ask":
                wanted = naive.places(values[0])
                if wanted is not None:
                    assert wanted == list(tree.places(values[0]))
    assert all((key in tree) == (key in naive.parents or key in naive.roots) for key in range(13))


def test_rename_of_a_directory_moves_all_below_it():
    tree = DirectoryTree()
    tree.add_root(1, b"/gold")
    tree.add(2, 1, b"a")
    tree.add(3, 2, b"b")
    assert ((b"/gold", b"/gold/a/b"),) == tree.places(3)
    tree.add(2, 1, b"z")
    assert ((b"/gold", b"/gold/z/b"),) == tree.places(3)


def test_what_was_moved_away_has_no_place():
    tree = DirectoryTree()
    tree.add_root(1, b"/gold")
    tree.add(2, 1, b"a")
    tree.add(3, 2, b"b")
    tree.discard(2)
    assert () == tree.places(3)
    assert (3,) == tree.homeless()


def test_root_of_all_has_paths_with_one_slash():
    tree = DirectoryTree()
    tree.add_root(1, b"/")
    tree.add(2, 1, b"data")
    assert ((b"/", b"/"),) == tree.places(1)
    assert ((b"/", b"/data"),) == tree.places(2)


def test_ring_of_contradicting_renames_ends():
    tree = DirectoryTree()
    tree.add(1, 2, b"a")
    tree.add(2, 1, b"b")
    assert () == tree.places(1)
