from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from corpora.evil_names import EVIL_NAMES
from support.openings import opened_below


@pytest.fixture
def place(world):
    """A directory of somebody who has copies."""
    found = world.top / "private"
    found.mkdir()
    return found


@pytest.fixture
def gold(world):
    """Gold with a few larger files, registered."""
    for i in range(1, 9):
        (world.gold / "dir" / f"{i}.bin").write_bytes(bytes([i]) * (10_000 * i))
    world.register()
    return world.gold


def found_in(answer):
    """Kind and original of each copy by its path."""
    return {one["path"]: (one["kind"], one["original"]) for one in answer["copies"]}


def test_renamed_copy_is_found_with_its_original(world, gold, place):
    shutil.copy(gold / "dir" / "3.bin", place / "other name.dat")
    (place / "same size").write_bytes(b"x" * 30_000)
    answer = world.ask_json("copies", str(place), code=3)
    (copy,) = answer["copies"]
    expected = {
        "path": str(place / "other name.dat"),
        "kind": "exact",
        "dataset": "faces",
        "version": 1,
        "original": str(gold / "dir" / "3.bin"),
        "bytes": 30_000,
        "reclaimable": (place / "other name.dat").stat().st_blocks * 512,
    }
    assert expected == {key: copy[key] for key in expected}
    assert expected["reclaimable"] == answer["reclaimable"]
    assert [("DG201", copy["path"])] == [(f["code"], f["path"]) for f in answer["findings"]]
    assert (2, 2) == (answer["candidates"], answer["read"])


def test_place_without_copies_is_fine(registered, place):
    (place / "own").write_bytes(b"mine alone")
    (place / "empty").touch()
    answer = registered.ask_json("copies", str(place))
    assert ([], 0, True) == (answer["copies"], answer["reclaimable"], answer["complete"])
    assert (2, 0) == (answer["scanned"], answer["read"])


def test_links_to_gold_cost_nothing_and_are_no_finding(world, gold, place):
    os.link(gold / "dir" / "3.bin", place / "hard")
    (place / "soft").symlink_to(gold / "dir" / "4.bin")
    (place / "folder").symlink_to(gold / "dir")
    (place / "elsewhere").symlink_to("/etc/hostname")
    answer = world.ask_json("copies", str(place))
    assert {
        str(place / "hard"): ("link", str(gold / "dir" / "3.bin")),
        str(place / "soft"): ("link", str(gold / "dir" / "4.bin")),
        str(place / "folder"): ("link", str(gold / "dir")),
    } == found_in(answer)
    assert {0} == {one["reclaimable"] for one in answer["copies"]}


def test_home_gold_and_mounts_are_skipped_and_it_says_so(world, gold, place):
    shutil.copy(gold / "dir" / "3.bin", world.home / "cached")
    shutil.copy(gold / "dir" / "3.bin", place / "copy")
    answer = world.ask_json("copies", str(world.top), code=3)
    assert [str(place / "copy")] == [*found_in(answer)]
    skipped = {one["path"]: one["reason"] for one in answer["skipped"]}
    assert {str(world.home), str(gold)} == {*skipped}
    assert "faces@1" in skipped[str(gold)]
    assert f"skipped {world.home}" in world.ask("copies", str(world.top)).out


def test_files_of_the_kernel_are_not_looked_at(registered):
    answer = registered.ask_json("copies", "/proc/self/fdinfo")
    assert (0, ["/proc"]) == (answer["scanned"], [one["path"] for one in answer["skipped"]])


def test_gold_itself_is_no_copy(world, gold):
    answer = world.ask_json("copies", str(gold), str(gold / "dir" / "3.bin"))
    assert ([], 0) == (answer["copies"], answer["scanned"])
    assert [str(gold)] == [one["path"] for one in answer["skipped"]]


def test_evil_names_are_found_all_and_nothing_else(world, place):
    names = [name for name in EVIL_NAMES if b"/" not in name]
    for i, name in enumerate(names):
        Path(os.fsdecode(bytes(world.gold) + b"/dir/" + name)).write_bytes(b"gold %d\n" % i)
    world.register()
    expected = {}
    for i, name in enumerate(names):
        copied = i % 2 == 0
        path = os.fsencode(place) + b"/" + name
        Path(os.fsdecode(path)).write_bytes((b"gold %d\n" if copied else b"mine %d\n") % i)
        if copied:
            expected[path] = os.fsencode(world.gold) + b"/dir/" + name
    answer = world.ask_json("copies", str(place), code=3)
    assert expected == {raw(one, "path"): raw(one, "original") for one in answer["copies"]}
    assert 0 == world.ask("copies", str(place), "-n").out.count("\x1b")


def raw(value, name):
    from base64 import b64decode

    encoded = value.get(f"{name}_b64")
    return value[name].encode() if encoded is None else b64decode(encoded)


def test_folder_says_how_much_of_which_version_it_holds(world, gold, place):
    mine = place / "work" / "mine"
    shutil.copytree(gold, mine, symlinks=True)
    (mine / "dir" / "2.bin").unlink()
    (mine / "dir" / "3.bin").write_bytes(b"y" * 30_000)
    (mine / "dir" / "notes.txt").write_text("what I did")
    answer = world.ask_json("copies", str(place), code=3)
    (folder,) = answer["folders"]
    assert (str(mine), "", 8, 10) == (
        folder["path"],
        folder["prefix"],
        folder["files"],
        folder["gold_files"],
    )
    parts = {
        word: [one["path"] for one in folder[word]] for word in ("differing", "missing", "extra")
    }
    assert {
        "differing": ["dir/3.bin"],
        "missing": ["dir/2.bin"],
        "extra": ["dir/notes.txt"],
    } == parts
    assert "holds 80 % of faces@1: 8 of 10 files" in world.ask("copies", str(place)).out


def test_renamed_part_of_a_version_is_told_as_that_part(world, gold, place):
    shutil.copytree(gold / "dir", place / "renamed")
    (place / "renamed" / "b").unlink()
    (folder,) = world.ask_json("copies", str(place), code=3)["folders"]
    assert (str(place / "renamed"), "dir", 8, 9) == (
        folder["path"],
        folder["prefix"],
        folder["files"],
        folder["gold_files"],
    )


def test_second_scan_opens_no_file_and_says_the_same(world, gold, place):
    shutil.copytree(gold, place / "mine", symlinks=True)
    (place / "same size").write_bytes(b"x" * 30_000)
    first = world.ask_json("copies", str(place), code=3)
    with opened_below(place) as opened:
        second = world.ask_json("copies", str(place), code=3)
    assert ([], 11, 0) == (opened, first["read"], second["read"])
    assert first["copies"] == second["copies"]
    (place / "same size").write_bytes((gold / "dir" / "3.bin").read_bytes())
    with opened_below(place) as opened:
        third = world.ask_json("copies", str(place), code=3)
    assert (["same size"], 1) == (opened, third["read"])
    assert len(first["copies"]) + 1 == len(third["copies"])


def test_damaged_notes_and_index_are_made_again(world, gold, place):
    shutil.copytree(gold, place / "mine", symlinks=True)
    first = world.ask_json("copies", str(place), code=3)
    state = [path for path in (world.home / "state").rglob("*") if path.is_file()]
    assert 4 == len(state)
    for path in state:
        if path.name != "history.jsonl":
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
    again = world.ask_json("copies", str(place), code=3)
    assert (first["copies"], first["read"]) == (again["copies"], again["read"])


def test_names_of_one_copy_are_counted_once_in_what_would_be_gained(world, gold, place):
    shutil.copy(gold / "dir" / "8.bin", place / "one")
    os.link(place / "one", place / "two")
    blocks = (place / "one").stat().st_blocks * 512
    answer = world.ask_json("copies", str(place), code=3)
    assert (blocks, [0, blocks]) == (
        answer["reclaimable"],
        sorted(one["reclaimable"] for one in answer["copies"]),
    )
    os.link(place / "one", world.top / "elsewhere")  # which keeps the blocks
    assert 0 == world.ask_json("copies", str(place), code=3)["reclaimable"]


def test_sparse_copy_costs_its_blocks_only(world, place):
    with (world.gold / "sparse").open("wb") as file:
        file.truncate(8 << 20)
    world.register()
    with (place / "sparse").open("wb") as file:
        file.truncate(8 << 20)
    (copy,) = world.ask_json("copies", str(place), code=3)["copies"]
    assert (8 << 20, (place / "sparse").stat().st_blocks * 512) == (
        copy["bytes"],
        copy["reclaimable"],
    )


def test_what_cannot_be_read_is_unchecked_and_never_fine(world, gold, place):
    place.chmod(0o755)
    shutil.copy(gold / "dir" / "3.bin", place / "secret")
    (place / "secret").chmod(0)
    (place / "closed").mkdir(mode=0)
    world.ask("list")
    code, answer = world.ask_as_user("copies", str(place))
    assert (4, False, []) == (code, answer["complete"], answer["copies"])
    assert {str(place / "secret"), str(place / "closed")} == {
        one["path"] for one in answer["unreadable"]
    }


def test_min_size_leaves_out_what_is_smaller(world, gold, place):
    shutil.copy(gold / "a", place / "small")
    shutil.copy(gold / "dir" / "3.bin", place / "large")
    answer = world.ask_json("copies", str(place), "--min-size", "4K", code=3)
    assert [str(place / "large")] == [*found_in(answer)]
    assert 2 == len(world.ask_json("copies", str(place), code=3)["copies"])
    assert 2 == world.fails("copies", str(place), "--min-size", "big")["exit_code"]


def test_one_version_can_be_looked_for_also_where_it_was_withdrawn(world, gold, place):
    (world.top / "other").mkdir()
    (world.top / "other" / "x").write_bytes(b"question\n")
    world.ask_json("register", "eval/gsm8k", str(world.top / "other"))
    shutil.copy(gold / "a", place / "a")
    (place / "train.jsonl").write_bytes(b"question\n")
    answer = world.ask_json("copies", "--of", "eval/gsm8k@1", str(place), code=3)
    assert [("eval/gsm8k", 1)] == [(one["dataset"], one["version"]) for one in answer["copies"]]
    world.ask_json("withdraw", "eval/gsm8k@1", "--reason", "leaked")
    assert [str(place / "a")] == [*found_in(world.ask_json("copies", str(place), code=3))]
    world.ask_json("copies", "--of", "eval/gsm8k@1", str(place), code=3)


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_versions_with_other_digests_are_searched_too(world, gold, place, algorithm):
    if algorithm == "blake3":
        pytest.importorskip("blake3")
    (world.top / "other").mkdir()
    (world.top / "other" / "x").write_bytes(b"question\n")
    world.ask_json("register", "other", str(world.top / "other"), "--digest", algorithm)
    shutil.copy(gold / "a", place / "a")
    shutil.copy(world.top / "other" / "x", place / "x")
    answer = world.ask_json("copies", str(place), code=3)
    assert ["faces", "other"] == [one["dataset"] for one in answer["copies"]]


def test_listed_files_are_looked_at_and_nothing_else(world, gold, place):
    for name in ("one", "two\nlines", "three"):
        shutil.copy(gold / "a", place / name)
    listed = world.top / "list"
    listed.write_bytes(
        b"\0".join(os.fsencode(path) for path in (place / "two\nlines", place / "one", gold / "a"))
    )
    answer = world.ask_json("copies", "--from-list", str(listed), code=3)
    assert [str(place / "one"), str(place / "two\nlines")] == [*found_in(answer)]
    assert [str(gold)] == [one["path"] for one in answer["skipped"]]
    listed.write_text(f"{place / 'three'}\n{place / 'gone'}\n")
    answer = world.ask_json("copies", "--from-list", str(listed), code=3)
    assert ([str(place / "three")], False) == ([*found_in(answer)], answer["complete"])
    listed.write_text("relative\n")
    assert 2 == world.fails("copies", "--from-list", str(listed))["exit_code"]


def test_single_file_can_be_the_place(world, gold, place):
    shutil.copy(gold / "a", place / "one")
    answer = world.ask_json("copies", str(place / "one"), code=3)
    assert [str(place / "one")] == [*found_in(answer)]


def test_files_that_repeat_one_another_are_told_when_asked_for(world, gold, place):
    for name in ("one", "two", "three"):
        (place / name).write_bytes(b"z" * 50_000)
    shutil.copy(gold / "dir" / "5.bin", place / "gold")
    assert [] == world.ask_json("copies", str(place), code=3)["groups"]
    (group,) = world.ask_json("copies", str(place), "--among", code=3)["groups"]
    blocks = (place / "one").stat().st_blocks * 512
    assert (3, 50_000, 2 * blocks) == (group["count"], group["size"], group["reclaimable"])
    assert ["one", "three", "two"] == [Path(one["path"]).name for one in group["paths"]]


def test_findings_are_recorded_and_resolved_when_the_copy_is_gone(world, gold, place):
    shutil.copy(gold / "a", place / "one")
    shutil.copy(gold / "a", world.top / "elsewhere")
    for where in (place, world.top / "elsewhere"):
        world.ask_json("copies", str(where), code=3)

    def open_copies():
        return {one["path"] for one in world.ask_json("findings", "list")["findings"]}

    assert {str(place / "one"), str(world.top / "elsewhere")} == open_copies()
    (place / "one").unlink()
    world.ask_json("copies", str(place), "--dry-run")
    assert 2 == len(open_copies())
    world.ask_json("copies", str(place))
    assert {str(world.top / "elsewhere")} == open_copies()


def test_dry_run_leaves_no_notes(world, gold, place):
    shutil.copy(gold / "a", place / "one")
    world.ask_json("copies", str(place), "-n", code=3)
    assert [] == [*(world.home / "state").glob("copies/*")]
    assert [] == world.ask_json("copies", "--history")["scans"]


def test_history_has_a_line_for_each_scan(world, gold, place):
    world.ask_json("copies", str(place))
    shutil.copy(gold / "dir" / "3.bin", place / "one")
    told = world.ask_json("copies", str(place), code=3)["reclaimable"]
    scans = world.ask_json("copies", "--history")["scans"]
    assert [(0, 0), (1, told)] == [(one["copies"], one["reclaimable"]) for one in scans]


def test_new_version_is_searched_from_then_on(world, gold, place):
    (place / "later").write_bytes(b"not yet gold")
    world.ask_json("copies", str(place))
    (gold / "new").write_bytes(b"not yet gold")
    world.register("--append", "--reason", "grew")
    answer = world.ask_json("copies", str(place), code=3)
    assert [("faces", 2)] == [(one["dataset"], one["version"]) for one in answer["copies"]]


def test_account_adds_up_and_names_workspaces(world, gold, place):
    workspace = world.workspace(mounted=())
    shutil.copy(gold / "dir" / "3.bin", workspace / "mine.bin")
    shutil.copy(gold / "dir" / "4.bin", place / "mine.bin")
    os.chown(place / "mine.bin", 12345, -1)
    os.utime(place / "mine.bin", (0, 0))
    answer = world.ask_json("copies", str(world.top), code=3)
    sums = Counter()
    for line in answer["account"]:
        sums[line["by"]] += line["reclaimable"]
    assert dict.fromkeys(("user", "place", "dataset", "age"), answer["reclaimable"]) == sums
    names = {(line["by"], line["name"]) for line in answer["account"]}
    assert {
        ("user", "12345"),
        ("user", "root"),
        ("place", str(workspace)),
        ("place", str(world.top)),
        ("age", "1 year and older"),
    } <= names


def test_reflinks_cost_nothing_and_shared_blocks_are_not_gained(world, loop_xfs):
    top = Path(loop_xfs.top)
    gold, place = top / "gold", top / "private"
    gold.mkdir()
    place.mkdir()
    (gold / "a").write_bytes(os.urandom(1 << 20))
    (gold / "b").write_bytes(os.urandom(1 << 20))
    world.ask_json("register", "faces", str(gold))
    subprocess.run(["cp", "--reflink=always", gold / "a", place / "shared"], check=True)
    shutil.copy(gold / "b", place / "own")
    subprocess.run(["cp", "--reflink=always", place / "own", place / "of own"], check=True)
    subprocess.run(["sync", "-f", place], check=True)
    answer = world.ask_json("copies", str(place), code=3)
    told = {Path(one["path"]).name: one for one in answer["copies"]}
    assert ("link", 0) == (told["shared"]["kind"], told["shared"]["reclaimable"])
    # Each of the two keeps the other's blocks: removing one of them gains nothing.
    assert [0, 0] == [told[name]["reclaimable"] for name in ("own", "of own")]
    assert (0, 1 << 20) == (answer["reclaimable"], answer["shared_among"])
    (place / "of own").unlink()
    subprocess.run(["sync", "-f", place], check=True)
    answer = world.ask_json("copies", str(place), code=3)
    before = os.statvfs(place)
    (place / "own").unlink()
    gained = 0
    for _ in range(200):  # XFS gives blocks back in the background
        subprocess.run(["sync", "-f", place], check=True)
        gained = (os.statvfs(place).f_bfree - before.f_bfree) * before.f_frsize
        if gained:
            break
        time.sleep(0.1)
    assert abs(gained - answer["reclaimable"]) <= answer["reclaimable"] // 100


def test_time_that_is_over_is_told_and_resumed(registered, place):
    from datetime import timedelta

    from dataguard.cli import opening
    from dataguard.cli.clock import utc_now

    for i in range(3_000):
        (place / f"{i:05}").write_bytes(b"hello\n" if i % 100 == 0 else b"other\n")
    later = iter(range(10_000))
    slow = pytest.MonkeyPatch()
    with slow.context() as patch:
        # Time flies: each look at the clock is a minute after the one before.
        patch.setattr(opening, "utc_now", lambda: utc_now() + timedelta(minutes=next(later)))
        answer = registered.ask_json(
            "copies", str(place), "--max-duration", "90s", "--workers", "1", code=3
        )
    assert (False, True) == (answer["complete"], answer["resumable"])
    assert answer["scanned"] < 3_000
    with opened_below(place) as opened:
        rest = registered.ask_json("copies", str(place), "--resume", code=3)
    assert (True, False, 3_000) == (rest["complete"], rest["resumable"], rest["scanned"])
    assert 3_000 == answer["read"] + len(opened)
    assert {str(place / f"{i:05}") for i in range(0, 3_000, 100)} == {*found_in(rest)}


def test_interrupted_scan_remembers_what_it_read(registered, place, monkeypatch):
    from dataguard.actions import copyscan

    for i in range(3_000):
        (place / f"{i:05}").write_bytes(b"hello\n" if i % 100 == 0 else b"other\n")
    original = copyscan._Scan._note

    def note(scan, unreadable):
        if scan._found.read > 2_000:
            raise KeyboardInterrupt
        original(scan, unreadable)

    with monkeypatch.context() as patch:
        patch.setattr(copyscan._Scan, "_note", note)
        assert 130 == registered.ask("copies", str(place), "--workers", "1").code
    with opened_below(place) as opened:
        rest = registered.ask_json("copies", str(place), "--resume", code=3)
    assert 0 < len(opened) < 3_000
    assert (True, 30) == (rest["complete"], len(rest["copies"]))


KILLED = """
import os, signal, sys
from dataguard.cli import main
from dataguard.stores import scanjournal

scanjournal._FILES_MOST = 1000
original = scanjournal.ScanJournal.flush
written = []

def flush(journal):
    original(journal)
    written.append(journal)
    if len(written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

scanjournal.ScanJournal.flush = flush
main(sys.argv[1:])
"""


def test_killed_scan_leaves_what_it_read(registered, place):
    for i in range(5_000):
        (place / f"{i:05}").write_bytes(b"hello\n" if i % 100 == 0 else b"other\n")
    words = ("copies", str(place), "--workers", "1")
    environment = {**os.environ, "DATAGUARD_HOME": str(registered.home)}
    killed = subprocess.run([sys.executable, "-c", KILLED, *words], env=environment, check=False)
    assert -signal.SIGKILL == killed.returncode
    with opened_below(place) as opened:
        rest = registered.ask_json(*words, code=3)
    assert 0 < len(opened) <= 3_000
    assert (True, 50) == (rest["complete"], len(rest["copies"]))
    with opened_below(place) as opened:
        registered.ask_json(*words, code=3)
    assert [] == opened
    assert [] == [*(registered.home / "state" / "copies").glob("*.frames")]


def test_path_of_a_copy_is_told_to_those_who_may_look_at_it(world, gold, place):
    for name, mode in (("closed", 0o700), ("open", 0o755)):
        (place / name).mkdir()
        shutil.copy(gold / "a", place / name / "copy")
        (place / name).chmod(mode)
    place.chmod(0o755)
    world.ask_json("copies", str(place), code=3)
    everything = world.ask_json("findings", "list")["findings"]
    code, answer = world.ask_as_user("findings", "list")
    assert 0 == code
    told = {one["id"]: one["path"] for one in answer["findings"]}
    assert {one["id"] for one in everything} == {*told}
    assert {"", str(place / "open" / "copy")} == {*told.values()}
    hidden = next(key for key, path in told.items() if not path)
    code, answer = world.ask_as_user("findings", "show", hidden)
    (shown,) = answer["findings"]
    assert (hidden, "") == (shown["id"], shown["path"])
    assert "closed" not in json.dumps(answer)
    os.chown(place / "closed" / "copy", 12345, 12345)
    world.ask_json("copies", str(place), code=3)
    code, answer = world.ask_as_user("findings", "list")
    assert {one["path"] for one in everything} == {one["path"] for one in answer["findings"]}


def test_another_question_forgets_nothing_that_was_read(world, gold, place):
    shutil.copytree(gold, place / "mine", symlinks=True)
    whole = world.ask_json("copies", str(place), code=3)
    world.ask_json("copies", str(place), "--min-size", "30000", code=3)
    with opened_below(place) as opened:
        again = world.ask_json("copies", str(place), code=3)
    assert ([], whole["copies"]) == (opened, again["copies"])


def test_place_that_cannot_be_listed_keeps_no_other_from_being_searched(world, gold, place):
    place.chmod(0o755)
    shutil.copy(gold / "a", place / "one")
    (world.top / "closed").mkdir(mode=0)
    world.ask("list")
    code, answer = world.ask_as_user("copies", str(place), str(world.top / "closed"))
    assert (3, False) == (code, answer["complete"])
    assert [str(place / "one")] == [*found_in(answer)]
    assert [str(world.top / "closed")] == [one["path"] for one in answer["unreadable"]]


@pytest.mark.parametrize("words", [[], ["--history", "--min-size", "x"]])
def test_nothing_to_look_at_is_a_wrong_command_line(world, words):
    code = world.ask("copies", *words).code
    assert (2 if not words else 0) == code


def test_place_that_is_not_there_is_not_found(registered):
    assert 10 == registered.fails("copies", str(registered.top / "nowhere"))["exit_code"]


def test_json_lines_have_a_row_for_each_copy(world, gold, place):
    shutil.copy(gold / "a", place / "one")
    answer = world.ask("copies", str(place), "--format", "jsonl")
    assert [str(place / "one")] == [json.loads(line)["path"] for line in answer.out.splitlines()]
    header = world.ask("copies", str(place), "--format", "csv").out.splitlines()[0]
    assert header.startswith("path,kind,dataset,version")
