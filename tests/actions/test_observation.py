from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.actions.observation import WINDOW_ROWS, Reading, observe
from dataguard.core.columns import raw_paths
from dataguard.core.verdicts import judge, merge_kind_changes
from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.model.entry import Kind, Obstacle
from dataguard.model.ports import NoProgress
from dataguard.model.span import WHOLE
from dataguard.stores.local import LocalStore
from dataguard.stores.manifests import ManifestStore
from dataguard.stores.memory import MemoryStore, Stored
from support.loopimages import flip_byte

PLAN = DigestPlan(Algorithm.XXH3_128)
QUICK = Reading(full=False, baseline=True)
FULL = Reading(full=True, baseline=True)
EXTRAS = Reading(full=False, baseline=True, extras=True)
BLIND = Reading(full=False, baseline=False)


class Registered:
    """A directory, registered: its manifest and sheet lie elsewhere."""

    def __init__(self, top, home):
        self.top, self._manifests = top, ManifestStore(str(home))
        with self._manifests.draft(PLAN) as draft:
            for piece in self.store().scan(PLAN, read=True):
                draft.add(piece.entries)
            self._published = draft.publish()

    def store(self):
        return LocalStore(str(self.top), host="h", spread=SerialEngine().map)

    def expected(self, *, sheet=True):
        root = self._published.root
        if not sheet:
            return self._manifests.read(root, PLAN.main)
        return self._manifests.read_with_sheet(root, PLAN.main, self._published.sheet)

    def look(self, reading):
        baseline = reading.baseline
        seen = list(
            observe(self.store(), self.expected(sheet=baseline), PLAN, reading, NoProgress())
        )
        found = [d for o in seen for d in judge(o.window, baseline=baseline, sheet=baseline)]
        return {
            "codes": [(d.path, d.code.name) for d in merge_kind_changes(found)],
            "unreadable": [(u.path, u.obstacle) for o in seen for u in o.unreadable],
            "read": sum(o.files_read for o in seen),
        }


def fill(top):
    for path in ("a/deep/x", "a/y", "b", "only/one"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(path.encode() * 100)
    (top / "empty").mkdir()
    (top / "link").symlink_to("b")
    return top


@pytest.fixture
def registered(tmp_path):
    (tmp_path / "top").mkdir()
    return Registered(fill(tmp_path / "top"), tmp_path / "home")


def test_unchanged_tree_is_clean_and_a_quick_look_reads_nothing(registered):
    assert {"codes": [], "unreadable": [], "read": 0} == registered.look(QUICK)
    assert {"codes": [], "unreadable": [], "read": 4} == registered.look(FULL)
    assert {"codes": [], "unreadable": [], "read": 4} == registered.look(BLIND)


def edit(top):
    (top / "b").write_bytes(b"other")


def edit_in_secret(top):
    before = os.stat(top / "b")
    with (top / "b").open("r+b") as file:
        file.write(b"B")
    os.utime(top / "b", ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_in_secret(top):
    before = os.stat(top / "b")
    (top / "new").write_bytes(b"B" * before.st_size)
    os.utime(top / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (top / "new").rename(top / "b")


def file_to_directory(top):
    (top / "b").unlink()
    (top / "b").mkdir()
    (top / "b/in").touch()


def file_to_empty_directory(top):
    (top / "b").unlink()
    (top / "b").mkdir()


def directory_to_file(top):
    shutil.rmtree(top / "a/deep")
    (top / "a/deep").touch()


def file_to_link_to_the_same_bytes(top):
    (top / "b").rename(top / "a/b")
    (top / "b").symlink_to("a/b")


def link_to_file(top):
    (top / "link").unlink()
    (top / "link").write_bytes(b"b")


def link_elsewhere(top):
    (top / "link").unlink()
    (top / "link").symlink_to("a/y")


def file_to_fifo(top):
    (top / "b").unlink()
    os.mkfifo(top / "b")


CHANGES = {
    edit: ["b DG101"],
    edit_in_secret: ["b DG101"],
    replace_in_secret: ["b DG101"],
    lambda top: (top / "b").unlink(): ["b DG102"],
    lambda top: (top / "a/new").touch(): ["a/new DG103"],
    lambda top: (top / "b").rename(top / "c"): ["b DG102", "c DG103"],
    file_to_directory: ["b DG104", "b/in DG103"],
    file_to_empty_directory: ["b DG104"],
    directory_to_file: ["a/deep DG104", "a/deep/x DG102"],
    file_to_link_to_the_same_bytes: ["a/b DG103", "b DG104"],
    link_to_file: ["link DG104"],
    link_elsewhere: ["link DG101"],
    file_to_fifo: ["b DG102"],
    lambda top: (top / "b").chmod(0o600): ["b DG105"],
    lambda top: (top / "empty").chmod(0o700): ["empty DG105"],
    lambda top: os.utime(top / "b", (1, 1)): ["b DG105"],
    lambda top: (top / "empty/new").touch(): ["empty/new DG103"],
    lambda top: (top / "only/one").unlink(): ["only/one DG102"],
    lambda top: shutil.rmtree(top / "only"): ["only/one DG102"],
    lambda top: (top / "empty").rmdir(): ["empty DG102"],
    lambda top: os.link(top / "b", top.parent / "outside"): [],
    lambda top: os.utime(top / "a", (1, 1)): [],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("reading", [QUICK, FULL])
def test_each_change_is_told_as_what_it_is(registered, change, reading):
    change(registered.top)
    found = registered.look(reading)["codes"]
    assert CHANGES[change] == [f"{path.decode()} {code}" for path, code in found]


def test_owner_is_metadata(registered):
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    os.chown(registered.top / "b", 1234, -1)
    os.lchown(registered.top / "link", -1, 1234)
    assert [(b"b", "DG105"), (b"link", "DG105")] == registered.look(QUICK)["codes"]


def test_quick_look_reads_suspects_alone(registered):
    edit_in_secret(registered.top)
    (registered.top / "new").touch()
    assert 1 == registered.look(QUICK)["read"]
    assert 2 == registered.look(EXTRAS)["read"]


def test_without_a_baseline_edits_have_an_unknown_cause(registered):
    edit(registered.top)
    assert [(b"b", "DG101")] == registered.look(BLIND)["codes"]


def test_everything_gone_and_nothing_expected(registered, tmp_path):
    shutil.rmtree(registered.top)
    registered.top.mkdir()
    gone = [(b"a/deep/x", "DG102"), (b"a/y", "DG102"), (b"b", "DG102"), (b"empty", "DG102")]
    gone += [(b"link", "DG102"), (b"only/one", "DG102")]
    for reading in (QUICK, FULL, BLIND):
        assert gone == registered.look(reading)["codes"]
    empty = Registered(registered.top, tmp_path / "second")
    assert [] == empty.look(QUICK)["codes"]
    (registered.top / "new").touch()
    assert [(b"new", "DG103")] == empty.look(QUICK)["codes"]


def test_what_cannot_be_read_is_listed_beside_the_windows(registered):
    os.mkfifo(registered.top / "zz")
    assert [(b"zz", Obstacle.FIFO)] == registered.look(QUICK)["unreadable"]
    assert [] == registered.look(QUICK)["codes"]


def test_what_cannot_be_read_is_listed_also_without_any_entry(tmp_path):
    (tmp_path / "top").mkdir()
    nothing = Registered(tmp_path / "top", tmp_path / "home")
    os.mkfifo(tmp_path / "top/pipe")
    assert [(b"pipe", Obstacle.FIFO)] == nothing.look(FULL)["unreadable"]


def test_bits_flipped_under_the_file_system_are_rot_and_found_by_a_full_look(loop_ext4, tmp_path):
    top = tmp_path / "top"
    os.symlink(loop_ext4.top, top)
    fill(top)
    os.rmdir(os.path.join(loop_ext4.top, "lost+found"))
    os.sync()
    registered = Registered(top, tmp_path / "home")
    flip_byte(loop_ext4, os.path.join(loop_ext4.top, "b"), 7)
    assert [] == registered.look(QUICK)["codes"]
    assert [(b"b", "DG107")] == registered.look(FULL)["codes"]
    edit_in_secret(top)
    assert [(b"b", "DG101")] == registered.look(FULL)["codes"]


# The same against a tree in memory, where everything can be made up.

NAMES = st.sampled_from([b"a", b"a-", b"b", b"c", b"d/e", b"\xff"])
FACTS = st.fixed_dictionaries(
    {"mtime_ns": st.integers(1, 2), "ctime_ns": st.integers(1, 2), "inode": st.integers(1, 2)}
)
FILES = st.builds(
    lambda content, facts: Stored(Kind.FILE, content, **facts),
    st.sampled_from([b"1", b"2", b"33"]),
    FACTS,
)
LINKS = st.builds(lambda target: Stored(Kind.SYMLINK, target), st.sampled_from([b"1", b"x"]))
READABLE = st.dictionaries(NAMES, st.one_of(FILES, LINKS))
TREES = st.dictionaries(NAMES, st.one_of(FILES, LINKS, st.just(Obstacle.DENIED)))


def expected_of(tree):
    return [piece.entries for piece in MemoryStore("m", tree).scan(PLAN, read=True)]


@given(READABLE, TREES, st.sampled_from([QUICK, FULL, EXTRAS, BLIND]))
@settings(deadline=None, max_examples=200)
def test_observed_is_what_is_there_and_digests_are_null_where_nothing_was_asked(
    before, after, reading
):
    store = MemoryStore("m", after)
    seen = list(observe(store, expected_of(before), PLAN, reading, NoProgress()))
    there = {path: thing for path, thing in after.items() if isinstance(thing, Stored)}
    digests: dict[bytes, bytes | None] = {}
    for one in seen:
        paths = one.window.right_paths.to_pylist()
        assert paths == raw_paths(one.window.right).to_pylist()
        digests |= dict(zip(paths, one.window.right.column("digest").to_pylist(), strict=True))
    assert sorted(there) == list(digests)
    denied = sorted(path for path, thing in after.items() if thing is Obstacle.DENIED)
    assert denied == [u.path for one in seen for u in one.unreadable]
    read = {p for p, t in there.items() if t.kind is Kind.FILE and must_read(p, before, t, reading)}
    files = {path for path, thing in there.items() if thing.kind is Kind.FILE}
    assert files - read == {path for path, digest in digests.items() if digest is None}
    assert len(read) == sum(one.files_read for one in seen)


def must_read(path, before, thing, reading) -> bool:
    if reading.full:
        return True
    if path not in before:
        return reading.extras
    old = before[path]
    size = len(old.content) == len(thing.content)
    same = size and replace(old, content=b"") == replace(thing, content=b"")
    return not (reading.baseline and same)


class Fading(MemoryStore):
    """A tree of which a file goes away between the scan and the reading."""

    def read(self, entries, plan):
        del self._tree[b"b"]
        return super().read(entries, plan)


def test_file_that_vanishes_before_it_is_read_is_missing():
    tree = {name: Stored(Kind.FILE, name) for name in (b"a", b"b", b"c")}
    expected = expected_of(tree)
    changed = {name: replace(thing, ctime_ns=5) for name, thing in tree.items()}
    (seen,) = observe(Fading("m", changed), expected, PLAN, QUICK, NoProgress())
    found = judge(seen.window, baseline=True, sheet=True)
    assert [(b"b", "DG102")] == [(d.path, d.code.name) for d in found]
    assert [(b"b", Obstacle.VANISHED)] == [(u.path, u.obstacle) for u in seen.unreadable]


def test_only_file_that_vanishes_before_it_is_read_is_missing():
    tree = {b"b": Stored(Kind.FILE, b"b")}
    expected = expected_of(tree)
    changed = {b"b": replace(tree[b"b"], ctime_ns=5)}
    (seen,) = observe(Fading("m", changed), expected, PLAN, QUICK, NoProgress())
    assert [b"b"] == [d.path for d in judge(seen.window, baseline=True, sheet=True)]


def test_windows_come_while_the_scan_goes_on():
    pieces = []

    class Counted(MemoryStore):
        def scan(self, plan, *, read, span=WHOLE):
            for piece in super().scan(plan, read=read, span=span):
                pieces.append(piece)
                yield piece

    tree = {b"%06d" % n: Stored(Kind.FILE, b"") for n in range(5 * WINDOW_ROWS)}
    windows = observe(Counted("m", tree), expected_of(tree), PLAN, QUICK, NoProgress())
    next(windows)
    seen = sum(piece.entries.num_rows for piece in pieces)
    assert WINDOW_ROWS <= seen <= 3 * WINDOW_ROWS
    assert len(list(windows)) >= 4
