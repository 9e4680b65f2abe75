"""The files of the gold index: what is damaged is made again when it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dataguard.core.goldindex import GoldIndex
from dataguard.model.actor import Actor
from dataguard.model.dataset import Version, VersionState
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.stores.goldshards import GoldShards
from support.entrybatches import batches_of, file

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = [b"a", b"bb", b"ccc", b"bb"]
ENTRIES = [file(b"%d" % i, content) for i, content in enumerate(CONTENTS)]
VERSION = Version(
    dataset="faces",
    number=1,
    root=RootDigest("1" * 64),
    algorithm=Algorithm.XXH3_128,
    entries=len(CONTENTS),
    files=len(CONTENTS),
    bytes=8,
    state=VersionState.ACTIVE,
    created=datetime(2030, 1, 1, tzinfo=UTC),
    actor=Actor("somebody", 1, "host"),
)


@dataclass
class Manifests:
    """Manifests that count how often one is read."""

    reads: list[RootDigest] = field(default_factory=list)

    def read_content(self, root, algorithm):
        self.reads.append(root)
        assert algorithm is VERSION.algorithm
        return batches_of(ENTRIES, rows=[3])


@pytest.fixture
def manifests():
    return Manifests()


@pytest.fixture
def shards(tmp_path, manifests):
    """An index that was made once."""
    found = GoldShards(str(tmp_path), lambda: manifests)
    assert [1, 2, 3] == found.shard(VERSION).sizes.tolist()
    return found


def index_file(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "state" / "index").glob("*.gold")
    return found


def rows_of(shard, content):
    digest = memoryview(file(b"x", content).digest).cast("Q")
    hits = GoldIndex([VERSION], [shard]).find_few(VERSION.algorithm, [len(content)], digest)
    return [one.row for one in hits]


def test_what_was_made_is_used_again(shards, manifests):
    assert [1, 3] == rows_of(shards.shard(VERSION), b"bb")
    assert 1 == len(manifests.reads)


def test_every_damaged_byte_is_noticed(shards, manifests, tmp_path):
    path = index_file(tmp_path)
    sound = path.read_bytes()
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        shard = shards.shard(VERSION)
        assert ([1, 2, 3], [1, 3]) == (shard.sizes.tolist(), rows_of(shard, b"bb")), at
        assert sound == path.read_bytes(), at
    assert 1 + len(sound) == len(manifests.reads)


@pytest.mark.parametrize("kept", [0, 10, 88, 100, -1])
def test_a_file_that_was_cut_is_made_again(shards, manifests, tmp_path, kept):
    path = index_file(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    assert [2] == rows_of(shards.shard(VERSION), b"ccc")
    assert 2 == len(manifests.reads)


def test_what_is_damaged_or_gone_after_the_sizes_were_read_is_made_again(
    shards, manifests, tmp_path
):
    path = index_file(tmp_path)
    shard, other = shards.shard(VERSION), shards.shard(VERSION)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    assert [0] == rows_of(shard, b"a")
    path.unlink()
    assert [0] == rows_of(other, b"a")
    assert 3 == len(manifests.reads)


def test_an_index_that_cannot_be_written_is_searched_in_memory(tmp_path, manifests):
    (tmp_path / "state").write_text("in the way")
    shard = GoldShards(str(tmp_path), lambda: manifests).shard(VERSION)
    assert ([1, 3], 4) == (rows_of(shard, b"bb"), shard.files)
    many = shard.find(np.array([3]), np.frombuffer(ENTRIES[2].digest, np.uint64).reshape(1, 2))
    assert [[0], [2]] == [column.tolist() for column in many]
