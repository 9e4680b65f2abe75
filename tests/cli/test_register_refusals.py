from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess

import pytest
from asking import tree_state

from dataguard.stores import spool


def sums(world, algorithm="sha256", *, wrong=()):
    lines = []
    for path in ("a", "dir/b"):
        content = b"wrong" if path in wrong else (world.gold / path).read_bytes()
        lines.append(f"{hashlib.new(algorithm, content).hexdigest()}  {path}\n")
    file = world.top / f"{algorithm.upper()}SUMS"
    file.write_text("".join(lines))
    return str(file)


def bagit(world, *, wrong=()):
    """Make the gold tree a bag: its payload is in data/."""
    (world.gold / "data").mkdir()
    for name in ("a", "dir", "link", "empty"):
        os.rename(world.gold / name, world.gold / "data" / name)
    lines = []
    for path in ("data/a", "data/dir/b"):
        content = b"wrong" if path in wrong else (world.gold / path).read_bytes()
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {path}\n")
    (world.gold / "bagit.txt").write_text("BagIt-Version: 1.0\n")
    manifest = world.gold / "manifest-sha256.txt"
    manifest.write_text("".join(lines))
    return str(manifest)


def dvc(world, *, wrong=()):
    """Track the gold tree as DVC does: a .dvc file that names a cache object."""
    listed = [
        {
            "md5": hashlib.md5(
                b"wrong" if p in wrong else (world.gold / p).read_bytes()
            ).hexdigest(),
            "relpath": p,
        }
        for p in ("a", "dir/b")
    ]
    text = json.dumps(listed).encode()
    digest = hashlib.md5(text).hexdigest()
    cache = world.top / ".dvc" / "cache" / "files" / "md5" / digest[:2]
    cache.mkdir(parents=True)
    (cache / f"{digest[2:]}.dir").write_bytes(text)
    file = world.top / "gold.dvc"
    file.write_text(f"outs:\n- md5: {digest}.dir\n  path: gold\n")
    return str(file)


PROMISES = {
    "sha256sum": lambda world, **how: sums(world, "sha256", **how),
    "md5sum": lambda world, **how: sums(world, "md5", **how),
    "BagIt": bagit,
    "DVC": dvc,
}


@pytest.mark.parametrize("kind", PROMISES)
def test_kept_promise_is_registered_in_the_same_read(world, kind):
    found = world.register("--expect", PROMISES[kind](world))
    assert (1, True, found["files"]) == (found["version"], found["created"], found["hashed"])
    assert [] == found["findings"]


@pytest.mark.parametrize("kind", PROMISES)
def test_broken_promise_is_no_version(world, kind):
    wrong = ("data/dir/b",) if kind == "BagIt" else ("dir/b",)
    found = world.register("--expect", PROMISES[kind](world, wrong=wrong), code=3)
    assert [("DG101", wrong[0])] == [(one["code"], one["path"]) for one in found["findings"]]
    assert (None, False) == (found["version"], found["created"])
    assert [] == world.ask_json("list")["datasets"]


def test_promised_file_that_is_missing_is_no_version(world):
    file = sums(world)
    os.unlink(world.gold / "dir" / "b")
    found = world.register("--expect", file, code=3)
    assert [("DG102", "dir/b")] == [(one["code"], one["path"]) for one in found["findings"]]


@pytest.mark.parametrize(
    ("text", "code"), [(None, 10), (b"no checksums here\n", 2), (b"\xff\x00", 2)]
)
def test_promise_that_makes_no_sense_is_refused(world, text, code):
    file = world.top / "SUMS"
    if text is not None:
        file.write_bytes(text)
    error = world.fails("register", "faces", str(world.gold), "--expect", str(file))
    assert code == error["exit_code"]


def unreadable(world, *, code=4):
    found = world.register(code=code)
    assert (None, False) == (found["version"], found["created"])
    assert [] == world.ask_json("list")["datasets"]
    return sorted((one["path"], one["reason"]) for one in found["unreadable"])


def test_everything_that_cannot_be_registered_is_listed(world):
    os.mkfifo(world.gold / "dir" / "pipe")
    os.mknod(world.gold / "null", 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(world.gold / "socket"))
        expected = [("dir/pipe", "is a FIFO"), ("null", "is a device"), ("socket", "is a socket")]
        assert expected == unreadable(world)


def test_unreadable_file_is_listed_for_an_ordinary_user(registered):
    os.chmod(registered.gold / "a", 0)
    os.chmod(registered.gold / "dir", 0)
    code, found = registered.ask_as_user("register", "theirs", str(registered.gold))
    listed = sorted((one["path"], one["reason"]) for one in found["unreadable"])
    assert (4, None) == (code, found["version"])
    assert [("a", "permission denied"), ("dir", "permission denied")] == listed


def test_file_that_grows_while_it_is_read_is_unstable_and_listed(world):
    with open(world.gold / "log", "wb") as file:
        file.truncate(200_000_000)  # takes long enough for the writer to come in between
    writer = subprocess.Popen(["sh", "-c", "while :; do echo line; done >> gold/log"])
    try:
        found = world.register("--engine", "serial", code=4)
    finally:
        writer.kill()
        writer.wait()
    assert [("log", "changed while being read")] == [
        (one["path"], one["reason"]) for one in found["unreadable"]
    ]
    assert [("DG106", "log")] == [(one["code"], one["path"]) for one in found["findings"]]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "a-z"),
        ("Faces", "a-z"),
        ("faces@1", "a-z"),
        ("-faces", None),
        ("a//b", "a-z"),
        ("/faces", "a-z"),
        ("faces/", "a-z"),
        ("..", "a-z"),
        ("a/../b", "a-z"),
        ("x" * 129, "128"),
        ("caf\u00e9", "a-z"),
        (b"\xff", "a-z"),
        ("a\nb", "a-z"),
    ],
)
def test_name_that_is_none_is_refused(world, name, hint):
    error = world.fails("register", name, str(world.gold))
    assert ("usage", 2) == (error["code"], error["exit_code"])
    assert hint is None or hint in error["hint"]
    assert not world.home.exists() or [] == world.ask_json("list")["datasets"]


@pytest.mark.parametrize("name", ["a", "vision/faces", "0", "a.b_c-d", "a/b/c", "x" * 128])
def test_name_that_is_one_is_taken(world, name):
    assert name == world.register(name=name)["dataset"]


@pytest.mark.parametrize(
    ("location", "code", "words"),
    [
        ("", 2, "empty"),
        ("nowhere", 10, "no directory"),
        ("gold/a", 2, "no directory"),
        ("gold/link", 2, "no directory"),
        ("s3://", 2, "no name of a bucket"),
        ("file:///data", 2, "only s3://"),
    ],
)
def test_location_that_is_no_directory_is_refused(world, location, code, words):
    error = world.fails("register", "faces", location)
    assert code == error["exit_code"]
    assert words in error["message"]


@pytest.mark.parametrize("place", ["gold/home", "gold/dir/home"])
def test_home_inside_the_source_is_refused_and_not_made(world, monkeypatch, place):
    monkeypatch.setenv("DATAGUARD_HOME", str(world.top / place))
    before = tree_state(world.gold)
    error = world.fails("register", "faces", str(world.gold))
    assert 2 == error["exit_code"]
    assert "DATAGUARD_HOME" in error["hint"]
    assert before == tree_state(world.gold)


def test_source_inside_the_home_is_refused(registered):
    error = registered.fails("register", "own", str(registered.home / "manifests"))
    assert 2 == error["exit_code"]


@pytest.mark.parametrize("option", [("--digest", "md5"), ("--also", "crc32"), ("--meta", "x")])
def test_option_value_that_makes_no_sense_is_refused(world, option):
    assert 2 == world.fails("register", "faces", str(world.gold), *option)["exit_code"]


@pytest.mark.parametrize("option", [("--engine", "foo"), ("--workers", "0"), ("--workers", "x")])
def test_setting_that_makes_no_sense_is_refused(world, option):
    assert 2 == world.fails("register", "faces", str(world.gold), *option)["exit_code"]


def test_differences_that_do_not_fit_into_memory_are_all_told_in_path_order(
    registered, monkeypatch
):
    monkeypatch.setattr(spool, "_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(spool, "_PER_RECORD", 2)
    (registered.gold / "a").write_bytes(b"other\n")
    for number in range(9):
        (registered.gold / "dir" / f"new{number}").touch()
    found = registered.register(code=3)
    new = [("DG103", f"dir/new{number}") for number in range(9)]
    assert [("DG101", "a"), *new] == [(one["code"], one["path"]) for one in found["findings"]]
    assert [] == found["unreadable"]
    text = registered.ask("register", "faces", str(registered.gold), "-v")
    assert all(f"dir/new{number}" in text.out for number in range(9))
