from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.directories import directories, entered, left, parents

NAMES = st.sampled_from([b"a", b"b", b"a-", b"a0", b"\xff", b"\n", b"long name"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
FILES = st.sets(PATHS, max_size=30)


def without_conflicts(paths):
    """Leave out files in whose place a directory is needed, in path order."""
    needed = {b"/".join(p.split(b"/")[:i]) for p in paths for i in range(1, p.count(b"/") + 1)}
    return sorted(path for path in paths if path not in needed)


def all_above(path):
    names = path.split(b"/")[:-1]
    return [b"", *(b"/".join(names[: i + 1]) for i in range(len(names)))]


@given(FILES, st.integers(min_value=1, max_value=7))
def test_every_directory_comes_once_before_its_content_however_the_paths_are_cut(files, size):
    paths = without_conflicts(files)
    parts = [pa.array(paths[i : i + size], pa.binary()) for i in range(0, len(paths), size)]
    found = list(directories(parts))
    assert {one for path in paths for one in all_above(path)} | {b""} == set(found)
    assert len(set(found)) == len(found)
    assert all(found.index(one.rpartition(b"/")[0]) < found.index(one) for one in found if one)


@given(FILES)
def test_a_walk_leaves_every_directory_once_and_after_all_in_it(files):
    paths = without_conflicts(files)
    at, came, gone = None, [], []
    for path in paths:
        parent = path.rpartition(b"/")[0]
        if at is not None:
            gone += left(at, parent)
        came += entered(at, parent)
        assert set(all_above(path)) == set(came) - set(gone)
        at = parent
    gone += [] if at is None else left(at, None)
    assert sorted(came) == sorted(gone)
    assert len(set(gone)) == len(gone)


def test_a_path_at_the_top_lies_in_the_root():
    paths = pa.array([b"a", b"b/c", b"b/\xff\n/d", b"e"], pa.binary())
    assert [b"", b"b", b"b/\xff\n"] == parents(paths)


def test_nothing_still_lies_in_the_root():
    assert [b""] == list(directories([]))
