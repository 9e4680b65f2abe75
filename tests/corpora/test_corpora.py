from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from corpora.evil_names import BELOW, EVIL_NAMES, make_tree
from corpora.odd_trees import (
    SPARSE_SIZE,
    add_fifo,
    add_sparse_file,
    add_unreadable_file,
    growing_file,
    odd_tree,
)


def test_names_are_many_distinct_and_legal():
    assert len(EVIL_NAMES) >= 300
    assert len(set(EVIL_NAMES)) == len(EVIL_NAMES)
    illegal = [n for n in EVIL_NAMES if not 0 < len(n) <= 255 or n in (b".", b"..")]
    assert illegal == []
    assert [n for n in EVIL_NAMES if b"/" in n or b"\0" in n] == []


def test_evil_tree_has_every_name_as_file_and_as_directory(tmp_path):
    tree = make_tree(str(tmp_path))
    top = os.fsencode(tmp_path)
    assert {*EVIL_NAMES, BELOW} == set(os.listdir(top))
    assert set(EVIL_NAMES) == set(os.listdir(os.path.join(top, BELOW)))
    assert len(set(tree.values())) == len(tree) == 2 * len(EVIL_NAMES)
    assert tree == {path: Path(os.fsdecode(os.path.join(top, path))).read_bytes() for path in tree}


def test_odd_tree_has_a_path_longer_than_the_kernel_takes(tmp_path):
    top = tmp_path / "odd"
    top.mkdir()
    with odd_tree(str(top)) as tree:
        assert max(len(path) for path in tree) > 4096
        assert (top / "first name").stat().st_nlink == 2
        assert tree[b"loop 1"] == os.fsencode((top / "loop 1").readlink())
        assert tree[b"nested/empty"] is None
    assert not top.exists()


def test_special_files_are_what_they_say(tmp_path):
    sparse = (tmp_path / os.fsdecode(add_sparse_file(str(tmp_path)))).stat()
    assert (sparse.st_size, sparse.st_blocks * 512 < 1 << 20) == (SPARSE_SIZE, True)
    assert stat.S_ISFIFO((tmp_path / os.fsdecode(add_fifo(str(tmp_path)))).stat().st_mode)
    unreadable = tmp_path / os.fsdecode(add_unreadable_file(str(tmp_path)))
    assert stat.S_IMODE(unreadable.stat().st_mode) == 0


def test_growing_file_grows_until_the_block_ends(tmp_path):
    path = tmp_path / "log"
    with growing_file(str(path)):
        sizes = [path.stat().st_size]
        time.sleep(0.1)
        sizes.append(path.stat().st_size)
    assert 0 < sizes[0] < sizes[1]
    settled = path.stat().st_size
    time.sleep(0.05)
    assert path.stat().st_size == settled
