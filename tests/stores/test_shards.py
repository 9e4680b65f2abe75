from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import tasks
from contracts.store import PLAN, StoreContract, collect
from corpora.odd_trees import make_odd_tree
from dataguard.engines.serial import SerialEngine
from dataguard.errors import StoreUnreachableError
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores import shards
from dataguard.stores.local import LocalStore
from dataguard.stores.localread import read_unit
from dataguard.stores.localunit import STAT_COLUMNS, Columns, Leaf, Segment, Unit
from dataguard.stores.shardfile import fill, read_file, take_rows, write_file
from dataguard.stores.shards import Shard, ShardedSpread, read_shard

BOTH = DigestPlan(Algorithm.XXH3_128, (Algorithm.SHA256,))


@pytest.fixture
def files_everywhere(monkeypatch):
    """Also a shard of one entry is written to a file."""
    monkeypatch.setattr(shards, "_ROWS_TO_SEND", 0)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def tree(tmp_path):
    """Some 8,500 files in small directories, a flat one, and large files between them."""
    top = tmp_path / "tree"
    for number in range(20):
        (top / f"d{number:02}").mkdir(parents=True)
        for name in range(175):
            (top / f"d{number:02}" / f"f{name:03}").write_bytes(b"%d" % (number * name))
    for name in range(5_000):
        (top / "d05" / f"g{name:04}").write_bytes(b"")
    for number in (3, 7, 7.5, 40):
        (top / f"d{number}").write_bytes(b"%a" % number)
        os.truncate(top / f"d{number}", 5_000_000)
    return top


def store(place, spread, **options):
    return LocalStore(str(place), host="h", spread=spread, **options)


def sharded(home, seen=None):
    """Everything in this process; `seen` takes each shard with what was found."""

    def spread(task, units, more=None, /):
        for unit, result in SerialEngine().map(task, units, more):
            if seen is not None:
                seen.append((unit, result))
            yield unit, result

    return ShardedSpread(spread, str(home))


def plainly(place, plan=PLAN, *, read=True):
    return collect(store(place, SerialEngine().map).scan(plan, read=read), plan)


@pytest.mark.usefixtures("files_everywhere")
class TestLocalStoreInShards(StoreContract):
    @pytest.fixture
    def made(self, tmp_path, home):
        from test_local_store import make_tree

        place = tmp_path / "made"
        place.mkdir(exist_ok=True)

        def make(content):
            make_tree(os.fsencode(place), content)
            return store(place, sharded(home))

        return make

    @pytest.fixture
    def absent(self, tmp_path, home):
        return store(tmp_path / "gone", sharded(home))

    def remove(self, store, path):
        os.unlink(os.path.join(os.fsencode(store.place), path))

    def snapshot(self, store):
        from test_local_store import stats

        stats(os.fsencode(store.place))
        return stats(os.fsencode(store.place))


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("plan", [PLAN, BOTH])
def test_shards_hold_what_units_hold(tree, home, plan, read):
    found = collect(store(tree, sharded(home)).scan(plan, read=read), plan)
    assert plainly(tree, plan, read=read) == found


@pytest.mark.usefixtures("files_everywhere")
def test_odd_tree_comes_through_files(tmp_path, home):
    make_odd_tree(str(tmp_path / "odd"))
    expected = plainly(tmp_path / "odd")
    assert expected == collect(store(tmp_path / "odd", sharded(home)).scan(PLAN, read=True))


def test_shard_has_as_many_entries_as_allowed_and_large_files_alone(tree, home):
    seen = []
    collect(store(tree, sharded(home, seen)).scan(PLAN, read=True))
    counts = [sum(found.counts) for _, found in seen]
    assert max(counts) <= shards.SHARD_ENTRIES
    assert sum(counts) == 8_504
    assert len(counts) <= 4 + 5
    alone = [found for shard, found in seen if not shard.units[0].hand_back]
    assert [(1,)] * 4 == [found.counts for found in alone]


def test_results_lie_beside_the_manifests_until_they_are_read(tree, home):
    seen = []
    pieces = store(tree, sharded(home, seen)).scan(PLAN, read=True)
    next(pieces)
    (directory,) = (home / "manifests").iterdir()
    assert directory.name.startswith(".partial-")
    assert str(directory) == seen[0][0].directory
    pieces.close()
    assert [] == [*(home / "manifests").iterdir()]
    assert any(found.file is not None for _, found in seen)


def test_worker_that_does_not_share_the_home_sends_what_it_found(tree, home):
    def elsewhere(task, units, more=None, /):
        for unit, _ in SerialEngine().map(task, units, more):
            os.rename(unit.directory, f"{unit.directory}-away")
            yield unit, task(unit)
            os.rename(f"{unit.directory}-away", unit.directory)

    found = collect(store(tree, ShardedSpread(elsewhere, str(home))).scan(PLAN, read=True))
    assert plainly(tree) == found


def test_home_that_cannot_be_written_is_done_without(tree, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    found = collect(store(tree, sharded(tmp_path / "file")).scan(PLAN, read=True))
    assert plainly(tree) == found


def a_shard(place, directory="", **changes):
    unit = Unit(str(place), (Segment(b"", (b"a",)),), PLAN.algorithms, read=True, tick_ns=0)
    values = {"units": (unit,), "inode": os.stat(place).st_ino, "directory": directory}
    return Shard(**values | changes)


def test_worker_without_the_tree_says_so_instead_of_reporting_a_loss(tmp_path):
    shard = a_shard(tmp_path)
    assert [1] == [len(one.unreadable) for one in read_shard(shard).columns]
    (tmp_path / "not mounted").mkdir()
    elsewhere = a_shard(tmp_path / "not mounted", inode=shard.inode)
    with pytest.raises(StoreUnreachableError, match=r"something else at .*/not mounted") as caught:
        read_shard(elsewhere)
    assert "same path" in caught.value.hint
    (tmp_path / "not mounted").rmdir()
    with pytest.raises(StoreUnreachableError, match=r"cannot see .*: No such file"):
        read_shard(elsewhere)


def test_damaged_shard_is_an_error(tree, home):
    def damaging(task, units, more=None, /):
        for unit, result in SerialEngine().map(task, units, more):
            if result.file is not None:
                path = Path(unit.directory, result.file.name)
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                path.write_bytes(data)
            yield unit, result

    with pytest.raises(StoreUnreachableError, match="not what its worker wrote"):
        collect(store(tree, ShardedSpread(damaging, str(home))).scan(PLAN, read=True))


def test_task_that_is_done_twice_leaves_two_files(tree, home):
    unit = Unit(str(tree), (Leaf(b"d05", 1),), PLAN.algorithms, read=True, tick_ns=0)
    shard = Shard((unit,), os.stat(tree).st_ino, str(home))
    first, second = read_shard(shard), read_shard(shard)
    assert first.file.name != second.file.name
    assert read_file(first.file, str(home)) == read_file(second.file, str(home))
    assert [] == [*home.iterdir()]


def test_other_tasks_are_spread_as_they_come(home):
    assert [(1, 2), (2, 4)] == list(sharded(home)(tasks.double, [1, 2]))
    assert not (home / "manifests").exists()


FLAGS = st.sampled_from([b"\x00", b"\x01"])
NUMBERS = {"q": st.integers(-(2**63), 2**63 - 1), "i": st.integers(-(2**31), 2**31 - 1)}


@st.composite
def found_columns(draw):
    paths = draw(st.lists(st.binary(max_size=9), max_size=5))
    count = len(paths)
    return Columns(
        paths=b"".join(paths),
        lengths=array("i", map(len, paths)),
        kinds=b"".join(draw(st.sampled_from([b"f", b"l", b"d"])) for _ in paths),
        stats={
            name: array(code, [draw(NUMBERS[code]) for _ in paths])
            for name, code in STAT_COLUMNS.items()
        },
        racy=b"".join(draw(FLAGS) for _ in paths),
        digested=b"".join(draw(FLAGS) for _ in paths),
        digests=tuple(draw(st.binary(min_size=n * count, max_size=n * count)) for n in (16, 32)),
    )


@given(st.lists(found_columns(), min_size=1, max_size=3))
def test_columns_come_back_from_a_file_as_they_were(tmp_path_factory, found):
    from copy import deepcopy

    directory = str(tmp_path_factory.getbasetemp())
    given_ones = deepcopy(found)
    file = write_file(take_rows(found, BOTH.algorithms), directory)
    rows, position = read_file(file, directory), 0
    for one, was in zip(found, given_ones, strict=True):
        count = len(was.lengths)
        fill(one, rows.slice(position, count), BOTH.algorithms)
        position += count
        assert was == one


def test_file_cannot_be_gone(home, tree):
    with pytest.raises(StoreUnreachableError, match="cannot read the shard"):
        read_file(write_file_and_remove(home, tree), str(home))


def write_file_and_remove(home, tree):
    unit = Unit(str(tree), (Leaf(b"d00", 1),), PLAN.algorithms, read=True, tick_ns=0)
    file = write_file(take_rows([read_unit(unit)], PLAN.algorithms), str(home))
    os.unlink(home / file.name)
    return file
