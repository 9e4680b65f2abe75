"""The way through directories: all of them, whatever their depth and names."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.watchers.descend import descend, exhaust, open_directory

NAMES = st.sampled_from([b"a", b"b", b"new\nline", b"\xff", b"c"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=8)


class Everything:
    """Remembers where it was."""

    def __init__(self):
        self.seen, self.refused = [], []

    def enter(self, parent, name, descriptor):
        assert os.fstat(descriptor).st_ino > 0
        self.seen.append((*parent, name))
        return self.seen[-1]

    def entries(self, _key, descriptor):
        with os.scandir(descriptor) as items:
            return [os.fsencode(one.name) for one in items if one.is_dir(follow_symlinks=False)]

    def unreadable(self, parent, name, _error):
        self.refused.append((*parent, name))


def visited(top, visitor=None):
    visitor = visitor or Everything()
    descriptor = open_directory(os.fsencode(top))
    before = len(os.listdir("/proc/self/fd"))
    try:
        exhaust(descend(visitor, (), descriptor))
        assert before == len(os.listdir("/proc/self/fd"))
    finally:
        os.close(descriptor)
    return visitor


@settings(max_examples=30)
@given(PATHS)
def test_every_directory_is_entered_once(tmp_path_factory, paths):
    top = os.fsencode(tmp_path_factory.mktemp("tree"))
    for path in paths:
        os.makedirs(os.path.join(top, *path), exist_ok=True)
    wanted = {tuple(path[:length]) for path in paths for length in range(1, len(path) + 1)}
    seen = visited(top).seen
    assert wanted == set(seen)
    assert len(seen) == len(wanted)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(".", tmp_path / "loop")
    os.symlink("/", tmp_path / "out")
    assert [(b"real",)] == visited(tmp_path).seen


def test_deeper_than_recursion_and_paths_allow(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("deeper", dir_fd=descriptor)
        os.mkdir("leaf", dir_fd=descriptor)
        below = os.open("deeper", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    try:
        assert 3_000 == len(visited(tmp_path).seen)
    finally:  # pytest, which clears old directories, cannot go that deep
        subprocess.run(["rm", "-rf", tmp_path / "deeper"], check=True)


def test_directory_that_is_moved_meanwhile_is_said_not_to_be_seen(tmp_path):
    deep = os.path.join(tmp_path, *["d"] * 80)
    os.makedirs(deep)
    for level in range(1, 70):
        os.makedirs(os.path.join(tmp_path, *["d"] * level, "other"), exist_ok=True)

    class Moving(Everything):
        def entries(self, key, descriptor):
            if len(key) == 80:  # the levels between are found again by `..`
                os.rename(os.path.join(tmp_path, *["d"] * 75), tmp_path / "moved")
            return sorted(super().entries(key, descriptor), reverse=True)

    visitor = visited(tmp_path, Moving())
    wanted = {(*[b"d"] * level, b"other") for level in range(1, 70)}
    assert wanted <= set(visitor.seen) | set(visitor.refused)


def test_root_that_cannot_be_listed_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_directory(os.fsencode(tmp_path / "absent"))
