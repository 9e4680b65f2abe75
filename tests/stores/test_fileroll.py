"""The files of a walk, for all that look at them later."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataguard.engines.serial import SerialEngine
from dataguard.errors import DataguardError
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores.fileroll import FileRoll
from dataguard.stores.local import LocalStore


def pieces(tree):
    store = LocalStore(str(tree), host="h", spread=SerialEngine().map)
    return store.scan(DigestPlan(Algorithm.XXH3_128), read=False)


@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "tree"
    (top / "dir").mkdir(parents=True)
    for number in range(30):
        (top / "dir" / f"{number:02}").write_bytes(b"x" * number)
    (top / "link").symlink_to("dir")
    return top


def test_files_that_are_large_enough_come_in_order_and_again(tree):
    with FileRoll(20) as roll:
        for piece in pieces(tree):
            roll.add(piece.entries)
        for _ in range(2):
            found = [path for one in roll.batches() for path in one.column("path").to_pylist()]
            assert [f"dir/{number}" for number in range(20, 30)] == found


def test_a_roll_of_nothing_has_nothing():
    with FileRoll(1) as roll:
        assert [] == [*roll.batches()]


def filled(roll, tree):
    for piece in pieces(tree):
        roll.add(piece.entries)


def test_no_room_for_temporary_files_is_said_with_what_to_do(tree):
    with Path("/dev/full").open("wb", buffering=0) as full, FileRoll(1) as roll:
        roll._file.close()
        roll._file = full
        with pytest.raises(DataguardError, match="temporary file") as caught:
            filled(roll, tree)
    assert "TMPDIR" in (caught.value.hint or "")
