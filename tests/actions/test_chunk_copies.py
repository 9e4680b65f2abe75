"""Parts of gold are found wherever in a file they are, and nothing is told that is none."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dataguard.actions.copychunks import chunk_copies
from dataguard.actions.copyfiles import place_files, walked
from dataguard.model.entry import Obstacle
from support.reclaims import Place

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Gold with files of 1 to 3 MiB, a small one and one of zeros, and an empty place."""
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    made = Place(tmp_path, tmp_path / "home")
    chance = random.Random(17)
    (made.gold / "dir").mkdir(parents=True)
    made.mine.mkdir()
    for number in range(4):
        (made.gold / "dir" / f"{number}").write_bytes(chance.randbytes(MIB + number * 700 * KIB))
    (made.gold / "odd\n").write_bytes(chance.randbytes(MIB))
    (made.gold / "small").write_bytes(chance.randbytes(MIB - 1))
    (made.gold / "zeros").write_bytes(bytes(3 * MIB))
    made.ask("register", "faces", str(made.gold))
    return made


@pytest.fixture
def chance():
    return random.Random(18)


def found_in(place, known=(), *, listed=None, **options):
    with place.context() as ctx:
        versions = ctx.catalog.versions()
        roll = walked(ctx, str(place.mine), 1, listed=listed)
        with roll, place_files(str(place.mine), roll) as files:
            return chunk_copies(ctx, files, versions, known, **options)


def only_copy(place):
    match = found_in(place)
    assert [] == match.unreadable
    (copy,) = match.copies
    return copy


def holds_what_it_tells(place, copy):
    """Whether each run of bytes that is told lies in both files."""
    content = Path(os.fsdecode(copy.path)).read_bytes()
    for run in copy.evidence["longest_runs"]:
        gold = (place.gold / run["entry"].strip('"').replace("\\n", "\n")).read_bytes()
        part = gold[run["original_offset"] :][: run["bytes"]]
        if content[run["offset"] :][: run["bytes"]] != part or len(part) != run["bytes"]:
            return False
    return True


def test_a_file_in_the_midst_of_others_is_told_to_the_byte(place, chance):
    gold = (place.gold / "dir" / "2").read_bytes()
    (place.mine / "mixed").write_bytes(chance.randbytes(300_001) + gold + chance.randbytes(99))
    copy = only_copy(place)
    assert (b"dir/2", "embedded", 1.0) == (
        copy.entry,
        copy.evidence["part"],
        copy.evidence["of_original"],
    )
    (run,) = copy.evidence["longest_runs"]
    assert {"offset": 300_001, "bytes": len(gold), "original_offset": 0} == {
        key: run[key] for key in ("offset", "bytes", "original_offset")
    }
    assert (len(gold), 0) == (copy.bytes, copy.reclaimable)


def test_one_byte_that_was_inserted_parts_the_file_into_two_runs(place):
    gold = (place.gold / "dir" / "1").read_bytes()
    (place.mine / "file").write_bytes(gold[:777_777] + b"!" + gold[777_777:])
    copy = only_copy(place)
    runs = [(one["offset"], one["bytes"]) for one in copy.evidence["longest_runs"]]
    assert [(0, 777_777), (777_778, len(gold) - 777_777)] == runs
    assert ("shifted", 1.0) == (copy.evidence["part"], copy.evidence["of_original"])


def test_the_middle_of_a_file_would_free_its_space(place):
    gold = (place.gold / "dir" / "3").read_bytes()
    path = place.mine / "middle"
    path.write_bytes(gold[200_000 : 200_000 + MIB])
    os.sync()
    copy = only_copy(place)
    assert ("excerpt", 1.0, MIB) == (
        copy.evidence["part"],
        copy.evidence["of_file"],
        copy.bytes,
    )
    assert path.stat().st_blocks * 512 == copy.reclaimable


def test_files_joined_to_one_are_all_named(place):
    parts = [(place.gold / "dir" / str(number)).read_bytes() for number in (3, 0, 2)]
    (place.mine / "joined").write_bytes(b"".join(parts))
    copy = only_copy(place)
    runs = copy.evidence["longest_runs"]
    assert ["dir/3", "dir/0", "dir/2"] == [one["entry"] for one in runs]
    assert (3, 3, 1.0) == tuple(copy.evidence[key] for key in ("originals", "runs", "of_file"))
    assert b"dir/3" == copy.entry


def test_all_parts_of_a_mebibyte_are_found(place, chance):
    names = ["dir/0", "dir/1", "dir/2", "dir/3", "odd\n"]
    contents = [(place.gold / name).read_bytes() for name in names]
    expected = set()
    for number in range(60):
        gold = chance.choice(contents)
        length = chance.choice([MIB, chance.randrange(MIB, len(gold) + 1)])
        start = chance.randrange(len(gold) - length + 1)
        before, behind = (chance.randbytes(chance.randrange(1, 400_000)) for _ in range(2))
        (place.mine / f"{number}").write_bytes(before + gold[start : start + length] + behind)
        expected.add(os.fsencode(place.mine / f"{number}"))
    match = found_in(place)
    assert expected == {one.path for one in match.copies}
    assert all(holds_what_it_tells(place, one) for one in match.copies)


def test_what_has_nothing_of_gold_is_not_told(place, chance):
    for number in range(10):
        (place.mine / f"other{number}").write_bytes(chance.randbytes(MIB + number))
    (place.mine / "zeros").write_bytes(bytes(5 * MIB))
    (place.mine / "periods").write_bytes(b"0123456789abcdef" * (2 * MIB // 16))
    few = (place.gold / "dir" / "0").read_bytes()[: 300 * KIB]
    (place.mine / "few").write_bytes(chance.randbytes(MIB) + few + chance.randbytes(MIB))
    small = (place.gold / "small").read_bytes()
    (place.mine / "small").write_bytes(chance.randbytes(99) + small)
    match = found_in(place)
    assert ([], []) == (match.copies, match.unreadable)


def test_what_is_known_and_what_is_not_listed_is_left_alone(place, chance):
    gold = (place.gold / "dir" / "0").read_bytes()
    for name in ("one", "two", "three"):
        (place.mine / name).write_bytes(chance.randbytes(5) + gold)
    match = found_in(place, {os.fsencode(place.mine / "one")}, listed=(b"one", b"two"))
    assert [b"two"] == [os.path.basename(one.path) for one in match.copies]
    assert [] == found_in(place, min_size=2 * MIB).copies


def test_gold_is_cut_once(place, chance, monkeypatch):
    gold = (place.gold / "dir" / "0").read_bytes()
    (place.mine / "mixed").write_bytes(chance.randbytes(5) + gold)
    first = only_copy(place)
    monkeypatch.setattr("dataguard.actions.chunking._cut", None)
    assert first == only_copy(place)


@pytest.mark.parametrize("at", [3, 20, 45, -1])
def test_a_damaged_index_is_made_again(place, chance, at):
    gold = (place.gold / "dir" / "0").read_bytes()
    (place.mine / "mixed").write_bytes(chance.randbytes(5) + gold)
    first = only_copy(place)
    (index,) = (place.home / "state" / "index").glob("*.chunks")
    whole = index.read_bytes()
    damaged = bytearray(whole)
    damaged[at] ^= 1
    index.write_bytes(damaged)
    assert first == only_copy(place)
    assert whole == index.read_bytes()


def test_gold_that_was_changed_is_told_and_never_believed(place, chance):
    gold = (place.gold / "dir" / "0").read_bytes()
    (place.mine / "mixed").write_bytes(chance.randbytes(5) + gold)
    assert 1 == len(found_in(place).copies)
    (place.gold / "dir" / "0").write_bytes(chance.randbytes(len(gold)))
    match = found_in(place)
    assert [] == match.copies
    assert ["faces@1: dir/0 is not what was cut"] == [
        one.detail.removeprefix("parts of ").replace(" were not looked for", "").split(";")[0]
        for one in match.unreadable
    ]


def test_gold_that_cannot_be_cut_is_told_each_time(place):
    (place.gold / "dir" / "0").unlink()
    for _ in range(2):
        (gap,) = found_in(place).unreadable
        assert "1 of its files cannot be read" in gap.detail
        assert Obstacle.ABSENT is gap.obstacle


def test_a_version_without_large_files_has_an_index_too(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    made = Place(tmp_path, tmp_path / "home")
    made.gold.mkdir()
    made.mine.mkdir()
    (made.gold / "small").write_bytes(b"small")
    (made.mine / "large").write_bytes(bytes(MIB))
    made.ask("register", "faces", str(made.gold))
    for _ in range(2):
        assert ([], []) == (found_in(made).copies, found_in(made).unreadable)
