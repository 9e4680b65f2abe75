from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
from asking import tree_state

from support.mountcleanup import fingerprint


def codes(found):
    return sorted((finding["code"], finding["path"]) for finding in found["findings"])


def versions(world, name="faces"):
    listed = world.ask_json("list", "--all")["datasets"]
    return [row["version"] for row in listed if row["dataset"] == name]


def test_first_registration_makes_version_1_and_reads_every_file(world):
    found = world.register()
    expected = {"dataset": "faces", "version": 1, "created": True, "files": 2, "bytes": 11}
    assert expected == {key: found[key] for key in expected}
    assert ("xxh3-128", 2, str(world.gold)) == (
        *(found["algorithm"], found["hashed"], found["location"]),
    )
    assert found["manifest"].endswith(f"/{found['root'].removeprefix('dg1:')}.parquet")
    assert ([], []) == (found["findings"], found["unreadable"])


def test_root_is_that_of_the_documented_vector(world):
    for name in ("a", "link", "dir/b"):
        os.unlink(world.gold / name)
    (world.gold / "a").write_bytes(b"hello\n")
    (world.gold / "dir" / "b").touch()
    os.rename(world.gold / "empty", world.gold / "e")
    os.symlink("a", world.gold / "l")
    root = "dg1:39ec6ccd93c3b62c1d177b917e7c9a8bf25bd300826d5f094c7d819ac269aa63"
    assert root == world.register()["root"]


def test_same_again_reads_nothing_and_makes_no_version(registered):
    again = registered.register()
    assert (1, False, 0) == (again["version"], again["created"], again["hashed"])
    assert [1] == versions(registered)


def test_touched_file_is_read_once_and_then_vouched_for_again(registered):
    os.utime(registered.gold / "a", ns=(1, 2))
    touched, after = registered.register(), registered.register()
    assert [(1, False, 1), (1, False, 0)] == [
        (one["version"], one["created"], one["hashed"]) for one in (touched, after)
    ]


def test_rehash_reads_every_file(registered):
    assert 2 == registered.register("--rehash")["hashed"]


def test_changed_content_is_refused_with_the_differences_and_nothing_recorded(registered):
    (registered.gold / "a").write_bytes(b"other\n")
    (registered.gold / "new").touch()
    os.unlink(registered.gold / "dir" / "b")
    events = registered.ask_json("catalog", "events")
    found = registered.register(code=3)
    assert [("DG101", "a"), ("DG102", "dir/b"), ("DG103", "new")] == codes(found)
    assert False is found["created"]
    assert events == registered.ask_json("catalog", "events")


STANDING = ("version", "root", "files", "bytes", "algorithm", "manifest")


def test_refusal_shows_what_stands_and_beside_it_what_is_there(registered):
    before = registered.register()
    (registered.gold / "new").write_bytes(b"12345678")
    found = registered.register(code=3)
    assert [before[name] for name in STANDING] == [found[name] for name in STANDING]
    there = (before["files"] + 1, before["bytes"] + 8)
    assert there == (found["found_files"], found["found_bytes"])
    text = registered.ask("register", "faces", "gold").out
    assert f"  content   {before['files']} files, {before['bytes']} B" in text
    assert f"  found     {there[0]} files, {there[1]} B" in text
    assert "faces@1 stands" in text


def test_hint_of_a_refusal_makes_the_version_that_was_meant(registered):
    (registered.gold / "new").touch()
    hint = registered.register(code=3)["hint"]
    assert f"hint: {hint}" in registered.ask("register", "faces", "gold").out
    command = shlex.split(hint.partition(":")[0])
    assert "--append" in command
    assert 0 == registered.ask(*command[1:]).code
    (registered.gold / "a").write_bytes(b"other\n")
    (registered.gold / "newer").touch()
    hint = registered.register("--append", "--reason", "r", code=3)["hint"]
    command = shlex.split(hint.partition(",")[0])
    assert "--supersede" in command
    assert 0 == registered.ask(*command[1:]).code


def test_refusal_for_another_reason_hints_at_no_version(registered):
    os.mkfifo(registered.gold / "pipe")
    found = registered.register(code=4)
    assert (None, None, None) == (found["hint"], found["found_files"], found["found_bytes"])
    assert 1 == found["version"]


def test_append_takes_added_paths_as_the_next_version(registered):
    (registered.gold / "new").write_bytes(b"new\n")
    found = registered.register("--append", "--reason", "shards of May")
    assert (2, True, 1) == (found["version"], found["created"], found["hashed"])


def test_audit_of_the_version_before_an_append_explains_the_additions(registered):
    (registered.gold / "new").write_bytes(b"new\n")
    registered.register("--append", "--reason", "shards of May")
    for level in ("quick", "full"):
        assert [] == registered.ask_json("audit", "--level", level)["findings"]
    (registered.gold / "newer").touch()
    found = registered.ask_json("audit", code=3)
    assert [("DG103", "newer"), ("DG103", "newer")] == codes(found)


def test_append_is_refused_where_something_else_changed(registered):
    (registered.gold / "new").touch()
    (registered.gold / "a").write_bytes(b"other\n")
    found = registered.register("--append", "--reason", "r", code=3)
    assert ("DG101", "a") in codes(found)
    assert [1] == versions(registered)


def test_supersede_retires_the_old_version_at_the_place(registered):
    (registered.gold / "a").write_bytes(b"other\n")
    found = registered.register("--supersede", "--reason", "labels corrected")
    assert (2, True) == (found["version"], found["created"])
    assert [] == registered.ask_json("audit")["findings"]
    assert "superseded" == registered.ask_json("show", "faces@1")["state"]


def test_content_that_comes_back_is_its_old_version(registered):
    first = registered.register()
    (registered.gold / "a").write_bytes(b"other\n")
    registered.register("--supersede", "--reason", "b")
    (registered.gold / "a").write_bytes(b"hello\n")
    back = registered.register("--supersede", "--reason", "a again")
    assert first["root"] == back["root"]
    newest = registered.ask_json("show", "faces")
    assert (back["version"], back["root"], "active") == (
        *(newest["version"], newest["root"], newest["state"]),
    )
    assert [] == registered.ask_json("audit")["findings"]


@pytest.mark.parametrize("option", ["--append", "--supersede"])
def test_meant_change_needs_a_reason(registered, option):
    error = registered.fails("register", "faces", str(registered.gold), option)
    assert ("usage", 2) == (error["code"], error["exit_code"])


def test_append_and_supersede_exclude_one_another(registered):
    words = ("--append", "--supersede", "--reason", "r")
    assert 2 == registered.fails("register", "faces", str(registered.gold), *words)["exit_code"]


def mirror(world, name="mirror"):
    subprocess.run(["cp", "-a", str(world.gold), str(world.top / name)], check=True)
    return world.top / name


def test_replica_of_equal_content_is_another_location(registered):
    place = mirror(registered)
    found = registered.ask_json("register", "faces", str(place), "--replica")
    assert (1, False) == (found["version"], found["created"])
    places = [one["place"] for one in registered.ask_json("show", "faces")["locations"]]
    assert [str(registered.gold), str(place)] == sorted(places)
    assert 2 == len(registered.ask_json("audit")["versions"])


def test_replica_of_other_content_is_refused_with_the_differences(registered):
    place = mirror(registered)
    (place / "a").write_bytes(b"other\n")
    found = registered.ask_json("register", "faces", str(place), "--replica", code=3)
    assert [("DG101", "a")] == codes(found)
    assert 1 == len(registered.ask_json("show", "faces")["locations"])
    assert (1, registered.ask_json("show", "faces")["root"]) == (found["version"], found["root"])
    assert "without --replica" in found["hint"]


def test_replica_of_an_unknown_dataset_is_not_found(world):
    error = world.fails("register", "faces", str(world.gold), "--replica")
    assert ("not_found", 10) == (error["code"], error["exit_code"])


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_digest_chooses_the_main_algorithm(world, algorithm):
    found = world.register("--digest", algorithm)
    assert (algorithm, "adversarial") == (found["algorithm"], found["strength"])
    assert [] == world.ask_json("audit")["findings"]
    assert 0 == world.register()["hashed"]


def test_also_adds_digests_without_a_new_version(registered):
    found = registered.register("--also", "sha256", "--also", "blake3")
    assert (1, False, 2) == (found["version"], found["created"], found["hashed"])
    assert 0 == registered.register()["hashed"]


def test_another_main_digest_needs_a_word(registered):
    error = registered.fails("register", "faces", str(registered.gold), "--digest", "sha256")
    assert ("usage", 2) == (error["code"], error["exit_code"])
    assert "--supersede" in error["hint"]


def test_regulated_policy_applies_a_stronger_digest(world):
    assert "sha256" == world.register("--policy", "regulated")["algorithm"]


def test_regulated_policy_refuses_a_weaker_digest_before_reading(world):
    words = ("--policy", "regulated", "--digest", "xxh3-128")
    error = world.fails("register", "faces", str(world.gold), *words)
    assert ("policy", 2) == (error["code"], error["exit_code"])
    assert [] == world.ask_json("list")["datasets"]


def test_excluded_paths_are_no_part_of_the_version_now_and_later(world):
    (world.gold / "cache").mkdir()
    (world.gold / "cache" / "x").touch()
    os.mkfifo(world.gold / "dir" / "pipe.tmp")
    assert 2 == world.register("--exclude", "cache/", "--exclude", "*.tmp")["files"]
    (world.gold / "cache" / "y").touch()
    (world.gold / "b.tmp").touch()
    assert ([], True) == (world.ask_json("audit")["findings"], world.ask_json("audit")["complete"])
    assert (1, False) == (world.register()["version"], world.register()["created"])
    assert ["cache/", "*.tmp"] == world.ask_json("show", "faces")["exclude"]


def test_hard_link_and_outward_symlink_are_warnings(world):
    os.link(world.gold / "a", world.top / "outside")
    os.symlink("../outside", world.gold / "leaves")
    os.symlink("/etc/passwd", world.gold / "absolute")
    found = world.register()
    expected = [("DG108", "a"), ("DG109", "absolute"), ("DG109", "leaves")]
    assert (1, expected) == (found["version"], codes(found))
    assert {"warning"} == {finding["severity"] for finding in found["findings"]}


def test_source_is_unchanged_to_the_last_access_time(world):
    (world.gold / "link").unlink()  # readlink(2) marks a link as read, and nothing prevents that
    for path in (world.gold, world.gold / "a", world.gold / "dir", world.gold / "dir" / "b"):
        os.utime(path, ns=(1_000_000_000, 2_000_000_000))  # relatime would move this access time
    before = fingerprint(world.gold)
    world.register("--also", "sha256")
    world.register("--rehash")
    world.ask_json("audit")
    assert before == fingerprint(world.gold)


def test_relative_location_is_recorded_absolute_and_without_links(world):
    (world.top / "alias").symlink_to("gold")
    assert str(world.gold) == world.ask_json("register", "faces", "alias/.")["location"]


def test_location_that_is_not_utf8_and_has_a_newline_goes_round(world):
    place = os.path.join(os.fsencode(world.top), b"new\nline \xff")
    os.rename(world.gold, place)
    found = world.ask_json("register", "faces", place)
    import base64

    assert place == base64.b64decode(found["location_b64"])
    assert [] == world.ask_json("audit")["findings"]
    text = world.ask("show", "faces")
    assert ["new\\nline \\xff"] == [w for w in [r"new\nline \xff"] if w in text.out]
    assert 0 == text.code


def test_note_owner_and_facts_are_kept(world):
    world.register("--note", "of May", "--meta", "license=CC-BY-4.0", "--meta", "a=b=c")
    shown = world.ask_json("show", "faces")
    assert ("of May", {"license": "CC-BY-4.0", "a": "b=c"}) == (shown["note"], shown["metadata"])


def test_who_could_write_is_said(world):
    os.chmod(world.gold / "a", 0o666)
    answer = world.ask("register", "faces", str(world.gold))
    assert "EVERYBODY (1 file)" in answer.out
    assert 1 == world.register()["writers"]["everybody"]


def test_dry_run_says_what_would_be_and_records_nothing(registered):
    os.utime(registered.gold / "a", ns=(1, 2))
    before = tree_state(registered.home)
    found = registered.register("--dry-run")
    assert (True, 1) == (found["dry_run"], found["hashed"])
    assert before == tree_state(registered.home)


@pytest.mark.parametrize("count", [4])
def test_several_registrars_at_once_lose_no_version(world, count):
    places = []
    for number in range(count):
        place = world.top / f"source{number}"
        place.mkdir()
        (place / "file").write_text(f"content {number}")
        places.append(str(place))
    world.ask_json("list")
    with ThreadPoolExecutor(count) as pool:
        words = [("register", "shared", place, "--format", "json") for place in places]
        answers = list(pool.map(lambda one: world.ask_process(*one), words))
    assert [0] * count == [answer.code for answer in answers], answers
    assert [*range(1, count + 1)] == sorted(json.loads(a.out)["version"] for a in answers)
    assert [*range(1, count + 1)] == versions(world, "shared")
    assert world.ask_json("catalog", "check")["sound"]


def test_files_of_the_home_are_for_reading_only(registered):
    manifest = registered.register()["manifest"]
    assert 0o444 == stat.S_IMODE(os.stat(manifest).st_mode)


def test_digests_asked_for_one_after_the_other_are_all_kept(world):
    first = world.register("--also", "sha256")
    again = world.register("--also", "blake3")
    assert (True, False) == (first["created"], again["created"])
    events = world.ask("catalog", "events", "--format", "jsonl").rows
    versions = [row for event in events for row in event["payload"]["put"].get("version", ())]
    key = versions[-1]["digest_sheet"]
    [sheet] = (world.home / "sheets").glob(f"*/{key}.parquet")
    assert {"sha256", "blake3"} == set(pq.read_schema(sheet).names)
