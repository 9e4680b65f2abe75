from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from contracts.store import PLAN, Link, StoreContract, collect, digest_of
from corpora.odd_trees import add_deep_file, make_odd_tree
from dataguard.engines.local import LocalEngine
from dataguard.engines.serial import SerialEngine
from dataguard.errors import NotFoundError, StoreUnreachableError, UsageError
from dataguard.model.entry import Kind, Obstacle
from dataguard.stores import local as local_store
from dataguard.stores import walk as walk_module
from dataguard.stores.filesystem import describe
from dataguard.stores.local import LocalStore, exclusion
from dataguard.stores.localunit import Segment
from dataguard.stores.memory import MemoryStore, Stored

STAT_COLUMNS = {
    "mtime_ns": "st_mtime_ns",
    "ctime_ns": "st_ctime_ns",
    "inode": "st_ino",
    "mode": "st_mode",
    "uid": "st_uid",
    "gid": "st_gid",
}


@pytest.fixture(scope="module")
def workers():
    engine = LocalEngine(2)
    yield engine
    engine.close()


def make_tree(top: bytes, tree):
    for path, thing in tree.items():
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if thing is None:
            os.makedirs(full)
        elif isinstance(thing, Link):
            os.symlink(thing.target, full)
        elif thing is Obstacle.FIFO:
            os.mkfifo(full)
        else:
            with open(full, "xb") as file:
                file.write(thing)


def stats(top: bytes):
    """Everything of every path that a careless scan would change; `atime` of directories too."""
    seen = {}
    for directory, directories, files in os.walk(top):
        for name in (b"", *directories, *files):
            status = os.lstat(os.path.join(directory, name))
            times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
            seen[os.path.join(directory, name)] = (*tuple(status)[:7], *times)
    return seen


class LocalContract(StoreContract):
    @pytest.fixture
    def made(self, tmp_path, engine):
        def make(tree):
            make_tree(os.fsencode(tmp_path), tree)
            return LocalStore(str(tmp_path), host="h", spread=engine.map)

        return make

    @pytest.fixture
    def absent(self, tmp_path, engine):
        return LocalStore(str(tmp_path / "gone"), host="h", spread=engine.map)

    def remove(self, store, path):
        os.unlink(os.path.join(os.fsencode(store.place), path))

    def snapshot(self, store):
        stats(os.fsencode(store.place))  # the first look itself touches directories
        return stats(os.fsencode(store.place))


class TestLocalStoreAlone(LocalContract):
    @pytest.fixture
    def engine(self):
        return SerialEngine()


class TestLocalStoreWithWorkers(LocalContract):
    @pytest.fixture
    def engine(self, workers):
        return workers


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def made(self):
        def stored(thing):
            if isinstance(thing, Obstacle):
                return thing
            if isinstance(thing, Link):
                return Stored(Kind.SYMLINK, thing.target)
            return Stored(Kind.DIRECTORY) if thing is None else Stored(Kind.FILE, thing)

        return lambda tree: MemoryStore("memory", {p: stored(t) for p, t in tree.items()})

    @pytest.fixture
    def absent(self):
        return MemoryStore("memory", None)

    def remove(self, store, path):
        del store._tree[path]

    def snapshot(self, store):
        return dict(store._tree)


def local(place, *, exclude=()):
    return LocalStore(str(place), host="h", spread=SerialEngine().map, exclude=exclude)


def test_columns_are_what_lstat_says(tmp_path):
    tree = make_odd_tree(str(tmp_path))
    os.chown(tmp_path / "empty", 1234, 4321)
    os.chmod(tmp_path / "empty", 0o4750)
    rows = collect(local(tmp_path).scan(PLAN, read=True))
    assert sorted(tree) == rows.paths
    seen = {path: os.lstat(os.path.join(os.fsencode(tmp_path), path)) for path in tree}
    for column, field in STAT_COLUMNS.items():
        assert {p: getattr(s, field) for p, s in seen.items()} == rows.column(column)
    links = {p for p, count in rows.column("nlink").items() if count > 1}
    assert {b"first name", b"second name"} == links


def test_path_longer_than_the_kernel_takes_is_read(tmp_path):
    path = add_deep_file(str(tmp_path), b"at the end\n")
    try:
        rows = collect(local(tmp_path).scan(PLAN, read=True))
        assert len(path) > 4096
        assert {path: digest_of(PLAN.main, b"at the end\n")} == rows.column("digest")
    finally:
        shutil.rmtree(tmp_path)


def test_links_out_of_the_place_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"s")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to("../outside")
    (inside / "file").symlink_to("../outside/secret")
    rows = collect(local(inside).scan(PLAN, read=True))
    assert {b"link": b"../outside", b"file": b"../outside/secret"} == rows.column("link_target")
    assert 0 == rows.files_read


def test_place_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    assert [b"a"] == collect(local(tmp_path / "link").scan(PLAN, read=True)).paths


def test_large_files_of_one_directory_are_spread_and_stay_in_order(tmp_path):
    big = os.urandom(1 << 20) * 5
    content = {b"a": b"1", b"b": big, b"b-": big + b"x", b"c": b"", b"d": big + b"y"}
    make_tree(os.fsencode(tmp_path), content)
    engine = LocalEngine(2)
    try:
        store = LocalStore(str(tmp_path), host="h", spread=engine.map)
        rows = collect(store.scan(PLAN, read=True))
    finally:
        engine.close()
    assert {p: digest_of(PLAN.main, c) for p, c in content.items()} == rows.column("digest")
    assert sorted(content) == rows.paths
    assert (5, sum(map(len, content.values()))) == (rows.files_read, rows.bytes_read)


def test_file_as_place_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is not a directory"):
        list(local(tmp_path / "file").scan(PLAN, read=True))


def test_place_that_goes_away_during_the_scan_is_an_error_with_words(tmp_path):
    (tmp_path / "d").mkdir()

    def removing(*work):
        (tmp_path / "d").rmdir()
        return SerialEngine().map(*work)

    store = LocalStore(str(tmp_path / "d"), host="h", spread=removing)
    with pytest.raises((NotFoundError, StoreUnreachableError), match="/d"):
        list(store.scan(PLAN, read=True))


def test_scan_begins_before_its_first_piece_is_asked_for(tmp_path):
    begun = []

    def noting(task, units, _more):
        for unit in units:
            begun.append(unit)
            yield unit, task(unit)

    (tmp_path / "a").write_bytes(b"a")
    pieces = LocalStore(str(tmp_path), host="h", spread=noting).scan(PLAN, read=True)
    assert 1 == len(begun)
    assert [b"a"] == collect(pieces).paths


def test_root_that_fails_while_it_is_listed_is_an_error_with_words(tmp_path, monkeypatch):
    def broken(_root, _excluded, _span, **_how):
        yield Segment(b"", (b"a",))
        raise OSError(5, "Input/output error")

    (tmp_path / "a").touch()
    monkeypatch.setattr("dataguard.stores.local.walk", broken)
    with pytest.raises(StoreUnreachableError, match=r"cannot list .*: Input/output error"):
        list(local(tmp_path).scan(PLAN, read=True))


def test_reading_a_place_that_is_gone_is_an_error_with_words(tmp_path):
    with pytest.raises((StoreUnreachableError, NotFoundError)):
        list(local(tmp_path / "gone").read_paths([b"a"], PLAN))


def test_paths_read_across_directories_keep_their_order(tmp_path):
    tree = {b"a/b": b"1", b"a/b-": b"2", b"a/c/d": b"3", b"a/c/e": b"4", b"f": b"5"}
    make_tree(os.fsencode(tmp_path), tree)
    rows = collect(local(tmp_path).read_paths(iter(tree), PLAN))
    assert list(tree) == rows.paths
    assert {p: digest_of(PLAN.main, c) for p, c in tree.items()} == rows.column("digest")


def test_scan_draws_the_walk_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(local_store, "_NAMES_PER_UNIT", 256)
    for directory in range(40):
        make_tree(os.fsencode(tmp_path), {b"%02d/%03d" % (directory, n): b"" for n in range(100)})
    units = []

    def spread(task, items, _more=None):
        for item in items:
            units.append(len(units))
            yield item, task(item)

    store = LocalStore(str(tmp_path), host="h", spread=spread)
    pieces = store.scan(PLAN, read=False)
    next(pieces)
    assert 1 == len(units)
    assert 3700 <= sum(piece.entries.num_rows for piece in pieces)
    assert len(units) > 10


def test_directory_that_is_made_during_the_scan_is_read_once_beside_its_neighbours(
    tmp_path, monkeypatch
):
    for path in ("x/f", "x0", "y"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    read = local_store.read_unit

    def read_late(unit):
        (tmp_path / "x/sub").mkdir(exist_ok=True)
        (tmp_path / "x/sub/g").write_bytes(b"")
        return read(unit)

    monkeypatch.setattr(local_store, "read_unit", read_late)
    store = LocalStore(str(tmp_path), host="here", spread=SerialEngine().map)
    pieces = store.scan(PLAN, read=True)
    assert ["x/f", "x/sub/g", "x0", "y"] == [
        path for piece in pieces for path in piece.entries.column("path").to_pylist()
    ]


def test_filesystem_is_the_one_of_the_place(tmp_path):
    assert describe(str(tmp_path), "h") == local(tmp_path).filesystem()
    assert os.stat(tmp_path).st_dev == local(tmp_path).filesystem().device


TREE = {
    b"a/keep": b"1",
    b"a/x.tmp": b"2",
    b"a/deep/foo": b"3",
    b"new\nline/foo": b"4",
    b"foo\n": b"5",
    b"foo/bar": b"6",
    b"x.tmp/inside": b"7",
    b"\xff.tmp": b"8",
    b"b/a": b"9",
    b"#c": b"10",
    b"z": b"11",
}


@pytest.mark.parametrize(
    "patterns",
    [
        ("*.tmp",),
        ("foo",),
        ("foo/",),
        ("/a",),
        ("a/",),
        ("a/**",),
        ("a/**", "!a/keep"),
        ("a/*", "!a/deep"),
        ("**/foo",),
        ("/*", "!/a"),
        ("# comment", "\\#c"),
        ("",),
        ("[!a]",),
        ("a/**/",),
        ("*.tmp", "!x.tmp"),
        ("\udcff*",),
        ("**",),
    ],
)
def test_patterns_exclude_what_git_ignores(tmp_path, patterns):
    top = tmp_path / "top"
    top.mkdir()
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    make_tree(os.fsencode(top), TREE)
    (tmp_path / "patterns").write_bytes(b"".join(os.fsencode(p) + b"\n" for p in patterns))
    command = ["git", "-C", str(top), "ls-files", "--others", "-z"]
    listed = subprocess.run(
        [*command, f"--exclude-from={tmp_path / 'patterns'}"], check=True, capture_output=True
    )
    rows = collect(local(top, exclude=(*patterns, "/.git")).scan(PLAN, read=False))
    files = [path for path, kind in rows.column("kind").items() if kind == "f"]
    assert sorted(set(listed.stdout.split(b"\0")) - {b""}) == files


def test_directory_with_everything_excluded_is_an_empty_directory(tmp_path):
    make_tree(os.fsencode(tmp_path), {b"a/x.tmp": b"", b"a/b/y.tmp": b"", b"a-b": b"1"})
    rows = collect(local(tmp_path, exclude=("*.tmp",)).scan(PLAN, read=True))
    assert {b"a-b": "f", b"a/b": "d"} == rows.column("kind")
    rows = collect(local(tmp_path, exclude=("*.tmp", "b/")).scan(PLAN, read=True))
    assert {b"a": "d", b"a-b": "f"} == rows.column("kind")


def test_excluded_special_files_are_not_in_the_way(tmp_path):
    make_tree(os.fsencode(tmp_path), {b"a": b"", b"pipe": Obstacle.FIFO})
    assert [] == collect(local(tmp_path, exclude=("pipe",)).scan(PLAN, read=True)).unreadable


def test_invalid_pattern_is_a_usage_error():
    with pytest.raises(UsageError, match="invalid pattern"):
        exclusion(("!",))


def test_sibling_that_follows_a_directory_taken_for_a_leaf_comes_once(tmp_path, monkeypatch):
    # Below a mount of another file system the count of links may say nothing.
    monkeypatch.setattr(walk_module, "_LEAF_LINKS", 3)
    tree = {b"a/b/f": b"1", b"a/\xff": b"2", b"a/b/" + b"\xff" * 255: b"3", b"a0": b"4", b"a1": b""}
    make_tree(os.fsencode(tmp_path), tree)
    store = LocalStore(str(tmp_path), host="a", spread=SerialEngine().map)
    assert sorted(tree) == collect(store.scan(PLAN, read=True)).paths
