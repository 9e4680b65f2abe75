"""Truncated and appended copies: all of 4 KiB or more are found, and nothing else."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from dataguard.actions.copyfiles import place_files, walked
from dataguard.actions.copypartial import partial_copies
from dataguard.model.copies import CopyKind
from support.reclaims import Place

KIB = 1 << 10


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Gold with files that share headers of up to 100 KiB, and an empty place to look at."""
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
    made = Place(tmp_path, tmp_path / "home")
    chance = random.Random(7)
    (made.gold / "dir").mkdir(parents=True)
    made.mine.mkdir()
    header = chance.randbytes(100 * KIB)
    for number in range(12):
        content = header + chance.randbytes(chance.randrange(1, 200 * KIB))
        (made.gold / "dir" / f"shared{number}").write_bytes(content)
    for number, size in enumerate((4096, 4097, 8191, 70_000, 3 << 20)):
        (made.gold / f"own{number}").write_bytes(chance.randbytes(size))
    (made.gold / "small").write_bytes(chance.randbytes(4095))
    (made.gold / b"odd\n\xff".decode("utf-8", "surrogateescape")).write_bytes(
        chance.randbytes(9999)
    )
    made.ask("register", "faces", str(made.gold))
    return made


def found_in(place, known=()):
    with place.context() as ctx:
        roll = walked(ctx, str(place.mine), 1)
        with roll, place_files(str(place.mine), roll) as files:
            return partial_copies(ctx, files, ctx.catalog.versions(), known)


def parts(match):
    return {
        os.path.basename(one.path).decode(): (one.entry, one.evidence["part"], one.bytes)
        for one in match.copies
    }


def seeded(place):
    """Write truncated and appended copies of everything; return what has to be found."""
    chance, expected = random.Random(8), {}
    for number, path in enumerate(sorted(place.gold.rglob("*"))):
        if not path.is_file() or path.stat().st_size < 4096:
            continue
        content, entry = path.read_bytes(), os.fsencode(path.relative_to(place.gold))
        longer = content + chance.randbytes(chance.randrange(1, 9000))
        (place.mine / f"{number}-longer").write_bytes(longer)
        expected[f"{number}-longer"] = (entry, "appended", len(content))
        # One that ends within the header that files share is a part of all of them.
        least = 102_416 if b"shared" in entry else 4096
        for length in {least, len(content) - 1, chance.randrange(least, len(content) + 1)}:
            if least <= length < len(content):
                (place.mine / f"{number}-{length}").write_bytes(content[:length])
                expected[f"{number}-{length}"] = (entry, "truncated", length)
    return expected


def test_all_truncated_and_appended_files_are_found_with_their_originals(place):
    expected = seeded(place)
    match = found_in(place)
    assert (expected, []) == (parts(match), match.unreadable)
    assert {CopyKind.PARTIAL} == {one.kind for one in match.copies}
    assert len(expected) > 40


def test_a_second_look_reads_no_gold_but_what_it_compares(place, monkeypatch):
    expected = seeded(place)
    found_in(place)
    monkeypatch.setattr("dataguard.stores.headsheets.Beginnings", None)
    assert expected == parts(found_in(place))


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_a_damaged_sheet_is_made_again(place, damage):
    expected = seeded(place)
    found_in(place)
    (sheet,) = (place.home / "state" / "index").glob("*.heads")
    whole = sheet.read_bytes()
    sheet.write_bytes(whole[:50] + damage + whole[51:] if damage else damage)
    assert expected == parts(found_in(place))
    assert whole == sheet.read_bytes()


def test_what_is_no_part_is_not_told(place):
    content = bytearray((place.gold / "own4").read_bytes())
    content[2 << 20] ^= 1
    (place.mine / "changed").write_bytes(content + b"more")
    content[2 << 20] ^= 1
    (place.mine / "same").write_bytes(content)
    (place.mine / "later").write_bytes(content[1:])
    (place.mine / "short").write_bytes(content[:4095])
    (place.mine / "small").write_bytes((place.gold / "small").read_bytes() + b"more")
    (place.mine / "empty").write_bytes(b"")
    assert {} == parts(found_in(place))


def test_what_is_a_copy_anyway_is_not_looked_at(place):
    (place.mine / "part").write_bytes((place.gold / "own3").read_bytes()[:5000])
    assert {} == parts(found_in(place, {os.fsencode(place.mine / "part")}))


def test_only_a_truncated_file_could_go(place):
    content = (place.gold / "own3").read_bytes()
    (place.mine / "less").write_bytes(content[:50_000])
    (place.mine / "more").write_bytes(content + b"more")
    os.sync()
    freed = {Path(os.fsdecode(o.path)).name: o.reclaimable for o in found_in(place).copies}
    assert {"less": (place.mine / "less").stat().st_blocks * 512, "more": 0} == freed


def test_gold_that_cannot_be_read_is_told(place):
    (place.gold / "own1").unlink()
    match = found_in(place)
    (gap,) = match.unreadable
    assert "1 of its files cannot be read" in gap.detail
    assert [] == list((place.home / "state" / "index").glob("*.heads"))
