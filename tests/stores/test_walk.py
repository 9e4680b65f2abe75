from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.evil_names import EVIL_NAMES
from corpora.odd_trees import add_deep_file, add_fifo, make_odd_tree
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.span import WHOLE, Span
from dataguard.stores import walk as walking
from dataguard.stores.localunit import Segment
from dataguard.stores.walk import walk

NOBODY = 65534


def seen(root: str | bytes, excluded=None, span=WHOLE) -> list[bytes | Unreadable]:
    """Paths and unreadable things in the order of the walk."""
    found: list[bytes | Unreadable] = []
    for item in walk(os.fsdecode(root), excluded, span):
        if isinstance(item, Segment):
            prefix = item.directory + b"/" if item.directory else b""
            found += [prefix + name for name in item.names]
        else:
            found.append(item)
    return found


def path_of(item: bytes | Unreadable) -> bytes:
    return item if isinstance(item, bytes) else item.path


def model(root: bytes, excluded=None) -> list[bytes]:
    """Every entry as recursion sees it, sorted afterwards by its whole path."""

    def below(path: bytes) -> list[bytes]:
        found = []
        for name in os.listdir(os.path.join(root, path)):
            inner = path + b"/" + name if path else name
            full = os.path.join(root, inner)
            is_directory = os.path.isdir(full) and not os.path.islink(full)
            if excluded is None or not excluded(inner, is_directory):
                found += (below(inner) or [inner]) if is_directory else [inner]
        return found

    return sorted(below(b""))


# Few letters around `/` (0x2f), so that names are often prefixes of one another.
NAMES = st.text("a!-./0", min_size=1, max_size=3).map(
    lambda name: name.replace("/", "\xff").encode("latin-1")
)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map(b"/".join)
TREES = st.dictionaries(PATHS, st.sampled_from(["file", "directory", "link"]), max_size=14)


def grow(top: bytes, tree: dict[bytes, str]) -> None:
    """Make what can be made of a random tree; later entries in the way of earlier ones are not."""
    for path, kind in tree.items():
        parts = path.split(b"/")
        if {b".", b".."} & set(parts):
            continue
        full = os.path.join(top, path)
        try:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if kind == "file":
                Path(os.fsdecode(full)).touch(exist_ok=False)
            elif kind == "link":
                os.symlink(b"a", full)
            else:
                os.makedirs(full)
        except OSError:  # something is in the way
            continue


@given(TREES)
@settings(deadline=None)
def test_order_is_that_of_whole_paths(tree):
    top = os.fsencode(tempfile.mkdtemp())
    try:
        grow(top, tree)
        assert model(top) == seen(top)
    finally:
        shutil.rmtree(top)


@given(TREES, st.sets(NAMES, max_size=3))
@settings(deadline=None)
def test_excluded_names_are_gone_with_all_below_and_order_stays(tree, names):
    def excluded(path: bytes, _is_directory: bool) -> bool:
        return path.rpartition(b"/")[2] in names

    top = os.fsencode(tempfile.mkdtemp())
    try:
        grow(top, tree)
        assert model(top, excluded) == seen(top, excluded)
    finally:
        shutil.rmtree(top)


@given(TREES, st.lists(PATHS, max_size=4), st.sets(NAMES, max_size=1))
@settings(deadline=None)
def test_walks_of_spans_that_follow_one_another_give_the_whole_walk(tree, cuts, names):
    def excluded(path: bytes, _is_directory: bool) -> bool:
        return path.rpartition(b"/")[2] in names

    ends = sorted({*cuts, *list(tree)[::3]})
    spans = [Span(a, b) for a, b in zip([b"", *ends], [*ends, None], strict=True)]
    top = os.fsencode(tempfile.mkdtemp())
    try:
        grow(top, tree)
        parts = [seen(top, excluded, span) for span in spans]
        assert seen(top, excluded) == [path for part in parts for path in part]
        assert all(span.contains(p) for span, part in zip(spans, parts, strict=True) for p in part)
    finally:
        shutil.rmtree(top)


def test_directories_outside_the_span_are_not_listed(tmp_path, monkeypatch):
    for path in ("a/b/c", "a-/x", "b/c/d", "b/d/e", "c/d"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    listed = []
    scan = walking._Lister._scan
    monkeypatch.setattr(
        walking._Lister, "_scan", lambda one, path: listed.append(path) or scan(one, path)
    )
    assert [b"b/c/d"] == seen(str(tmp_path), span=Span(b"a/b/c", b"b/c/d"))
    assert [b"", b"a", b"a/b", b"b", b"b/c"] == sorted(set(listed))


def test_a_directory_that_cannot_be_listed_comes_with_every_span_it_may_concern(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()

    def refused(path: bytes, _is_directory: bool) -> bool:
        if path.startswith(b"b/"):
            raise PermissionError(13, "Permission denied")
        return False

    (tmp_path / "b/x").touch()
    gap = Unreadable(b"b", Obstacle.DENIED, "Permission denied")
    assert [gap] == seen(str(tmp_path), refused, Span(b"a", b"b/c"))
    assert [gap] == seen(str(tmp_path), refused, Span(b"b/c"))
    assert [b"a"] == seen(str(tmp_path), refused, Span(b"", b"a-"))
    assert [] == seen(str(tmp_path), refused, Span(b"b0"))


def test_empty_directory_comes_before_its_longer_sibling_and_a_full_one_after(tmp_path):
    for empty in ("a", "b/c"):
        (tmp_path / empty).mkdir(parents=True)
    for file in ("a-b", "b-", "b/c-", "d-", "d/x", "d.e/-", "d.e-/f/g", "d.e-/f!/g"):
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / file).touch()
    expected = b"a a-b b- b/c b/c- d- d.e-/f!/g d.e-/f/g d.e/- d/x".split()
    assert sorted(expected) == expected
    assert expected == seen(str(tmp_path))


def test_all_evil_names_survive(tmp_path):
    top = os.fsencode(tmp_path)
    for name in EVIL_NAMES:
        os.mkdir(os.path.join(top, name))
        Path(os.fsdecode(os.path.join(top, name, name))).touch()
    assert sorted(name + b"/" + name for name in EVIL_NAMES) == seen(top)


def test_odd_tree_is_walked_and_no_link_is_followed(tmp_path):
    assert sorted(make_odd_tree(str(tmp_path))) == seen(str(tmp_path))


def test_long_directories_come_in_segments_of_bounded_size(tmp_path):
    names = [b"%05d" % number for number in range(1500)]
    for name in names:
        (tmp_path / name.decode()).touch()
    segments = list(walk(str(tmp_path)))
    assert names == [name for segment in segments for name in segment.names]
    assert max(len(segment.names) for segment in segments) <= 512


def test_path_longer_than_the_kernel_takes(tmp_path):
    path = add_deep_file(str(tmp_path), b"")
    try:
        assert len(path) > 4096
        assert [path] == seen(str(tmp_path))
    finally:
        shutil.rmtree(tmp_path)


@pytest.fixture
def _few_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_few_descriptors")
def test_depth_of_2000_needs_few_descriptors_and_no_recursion(tmp_path):
    depth = 2000
    top = os.open(tmp_path, os.O_RDONLY)
    at = os.dup(top)
    for level in range(depth):
        os.mkdir("d", dir_fd=at)
        if level % 500 == 0:
            os.mkdir("d-", dir_fd=at)
            os.mkdir("e", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    opened = len(os.listdir("/proc/self/fd"))
    try:
        found = seen(str(tmp_path))
        assert sorted(found) == found
        assert b"/".join([b"d"] * depth) in found
        sides = [b"d/" * level + name for level in range(0, depth, 500) for name in (b"d-", b"e")]
        assert set(sides) < set(found)
        assert len(sides) + 1 == len(found)
        assert opened == len(os.listdir("/proc/self/fd"))
    finally:
        os.close(top)
        remove_deep(str(tmp_path), depth)


def remove_deep(top: str, depth: int) -> None:
    """Remove what `shutil.rmtree` would need a frame a level for."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth * 3)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    try:
        shutil.rmtree(top)
    finally:
        sys.setrecursionlimit(before)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_special_files_are_listed_and_never_opened(tmp_path, monkeypatch):
    add_fifo(str(tmp_path))
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    expected = {b"fifo": Obstacle.FIFO, b"socket": Obstacle.SOCKET}
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(7, 250))
        expected |= {b"device": Obstacle.DEVICE, b"disk": Obstacle.DEVICE}
    (tmp_path / "file").touch()
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda name, *a, **k: opened.append(name) or real(name, *a, **k)
    )
    found = seen(str(tmp_path))
    assert sorted([*expected, b"file"]) == [path_of(item) for item in found]
    assert expected == {u.path: u.obstacle for u in found if isinstance(u, Unreadable)}
    assert [str(tmp_path)] == opened


def as_nobody(action) -> str:
    """Run in a child without privileges and return what it printed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writer, repr(action()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_directories_that_may_not_be_listed_are_reported_in_their_place():
    top = Path(tempfile.mkdtemp())
    try:
        top.chmod(0o755)
        for name in ("a", "closed", "closed-", "z"):
            (top / name).mkdir()
            (top / name / "f").touch()
        (top / "closed").chmod(0o700)
        (top / "z").chmod(0)
        text = as_nobody(lambda: seen(str(top)))
        closed = Unreadable(b"closed", Obstacle.DENIED, "")
        items = [
            b"a/f",
            closed,
            b"closed-/f",
            Unreadable(b"z", Obstacle.DENIED, "Permission denied"),
        ]
        assert repr(items) == text
    finally:
        shutil.rmtree(top)


def test_directory_that_vanishes_is_reported(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()
    items = walk(str(tmp_path))
    assert Segment(b"a", (b"f",)) == next(items)
    shutil.rmtree(tmp_path / "b")
    rest = list(items)
    assert [(b"b", Obstacle.VANISHED)] == [(u.path, u.obstacle) for u in rest]


def test_directory_that_became_a_link_is_reported_and_not_followed(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()
    items = walk(str(tmp_path))
    next(items)
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "b").symlink_to("a")
    assert [(b"b", Obstacle.VANISHED)] == [(u.path, u.obstacle) for u in items]


@pytest.mark.parametrize("was_empty", [True, False])
def test_directory_that_filled_or_emptied_after_it_was_sorted_is_unstable(tmp_path, was_empty):
    """Its place among siblings was chosen by what it held before."""
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b-").touch()
    if not was_empty:
        (tmp_path / "b/f").touch()
    real = walking._Lister.list

    def change(self, directory, span):
        listing = real(self, directory, span)
        if directory == b"":
            (tmp_path / "b/f").touch() if was_empty else (tmp_path / "b/f").unlink()
        return listing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking._Lister, "list", change)
        found = seen(str(tmp_path))
    assert {b"a", b"b", b"b-"} == {path_of(item) for item in found}
    assert [(b"b", Obstacle.UNSTABLE)] == [
        (u.path, u.obstacle) for u in found if isinstance(u, Unreadable)
    ]


def test_directory_that_could_not_be_sorted_is_not_visited_out_of_order(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/f").touch()
    (tmp_path / "b-").touch()
    real = walking._Lister._scan
    calls = []

    def flaky(self, directory):
        calls.append(directory)
        if directory == b"b" and calls.count(b"b") == 1:
            raise OSError(5, "Input/output error")
        return real(self, directory)

    monkeypatch.setattr(walking._Lister, "_scan", flaky)
    assert [Unreadable(b"b", Obstacle.IO_ERROR, ""), b"b-"] == seen(str(tmp_path))


def test_unlistable_root_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(walk(str(tmp_path / "gone")))


def test_wide_directory_is_quick(tmp_path):
    names = 20_000
    at = os.open(tmp_path, os.O_RDONLY)
    for number in range(names):
        os.close(os.open(b"%x" % number, os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    started = time.monotonic()
    assert names == len(seen(str(tmp_path)))
    assert time.monotonic() - started < 10
