from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.stores.descent import Descent

DEEP = 100


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A directory with 100 levels named `0`, each with a sibling `1` that holds `0` too."""
    top = tmp_path_factory.mktemp("chain")
    at = os.open(top, os.O_RDONLY)
    for _ in range(DEEP):
        for name in ("0", "1", "1/0"):
            os.mkdir(name, dir_fd=at)
        below = os.open("0", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    yield str(top)
    shutil.rmtree(top)


def inode(top: str, path: bytes) -> int:
    at = os.open(top, os.O_RDONLY)
    for name in path.split(b"/") if path else []:
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    status = os.fstat(at)
    os.close(at)
    return status.st_ino


LEVELS = st.tuples(st.integers(0, DEEP), st.sampled_from([(), (b"1",), (b"1", b"0")]))


@given(st.lists(LEVELS, min_size=1, max_size=8))
@settings(deadline=None)
def test_any_order_of_visits_opens_the_right_directory(chain, visits):
    with Descent(chain) as descent:
        for level, tail in visits:
            path = b"/".join([b"0"] * (level - bool(tail)) + list(tail)) if level else b""
            assert inode(chain, path) == os.fstat(descent.open(path)).st_ino


def test_few_descriptors_stay_open_and_none_after_closing(chain):
    before = len(os.listdir("/proc/self/fd"))
    with Descent(chain) as descent:
        descent.open(b"/".join([b"0"] * DEEP))
        assert len(os.listdir("/proc/self/fd")) - before <= 68
    assert before == len(os.listdir("/proc/self/fd"))


def test_links_below_the_root_are_refused(tmp_path):
    (tmp_path / "real/in").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with Descent(str(tmp_path)) as descent:
        for path in (b"link", b"link/in"):
            with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
                descent.open(path)


def test_it_goes_on_after_a_directory_that_is_not_there(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with Descent(str(tmp_path)) as descent:
        for missing in (b"a/x", b"x/b", b"a/b/c/d"):
            with pytest.raises(FileNotFoundError):
                descent.open(missing)
            found = os.fstat(descent.open(b"a/b")).st_ino
            assert os.stat(tmp_path / "a/b").st_ino == found
    assert before == len(os.listdir("/proc/self/fd"))


def test_way_down_that_breaks_is_an_error_and_not_another_directory(tmp_path):
    deep = b"/".join([b"d"] * 80)
    os.makedirs(os.path.join(os.fsencode(tmp_path), deep, b"x"))
    os.makedirs(os.path.join(os.fsencode(tmp_path), deep[:-2], b"e"))
    with Descent(str(tmp_path)) as descent:
        descent.open(deep + b"/x")
        os.rename(tmp_path / "d" / "d", tmp_path / "d" / "moved")
        # The descriptors on the way are those of the moved directories: still the same tree.
        descent.open(deep[:-2] + b"/e")
        with pytest.raises(FileNotFoundError):
            descent.open(b"d/d/other")
