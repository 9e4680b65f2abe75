from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.evil_names import make_tree
from corpora.odd_trees import make_odd_tree
from dataguard.core.chain import START, Head, event_line, next_event
from dataguard.model.actor import Actor

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


ROOT_SCRIPT, LOG_SCRIPT = blocks("python")


def root_of(directory):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ROOT_SCRIPT, str(directory)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_mixed_tree(top):
    (top / "a").write_bytes(b"hello\n")
    (top / "dir").mkdir()
    (top / "dir" / "b").touch()
    (top / "e").mkdir()
    (top / "l").symlink_to("a")


def make_order_tree(top):
    (top / "a").mkdir()
    (top / "a-b").write_bytes(b"x")


@pytest.mark.parametrize(
    ("make", "row"), [(lambda _: None, 0), (make_mixed_tree, 1), (make_order_tree, 2)]
)
def test_script_of_the_page_gives_the_roots_of_the_page(tmp_path, make, row):
    make(tmp_path)
    assert re.findall(r"\| `(dg1:[0-9a-f]{64})` \|", PAGE)[row] == root_of(tmp_path)


def test_script_of_the_page_is_short():
    assert len([line for line in ROOT_SCRIPT.splitlines() if line.strip()]) <= 24


@pytest.mark.parametrize("make", [make_tree, make_odd_tree])
def test_script_of_the_page_survives_any_name(tmp_path, make):
    make(str(tmp_path))
    before = root_of(tmp_path)
    os.rename(tmp_path / "x", tmp_path / "xx") if make is make_tree else (tmp_path / "n").touch()
    assert before != root_of(tmp_path)


def events(count):
    actor, head = Actor("maria", 1000, "node1"), START
    for number in range(count):
        event = next_event(
            head,
            time=datetime(2030, 1, 1, tzinfo=UTC),
            kind="tag",
            actor=actor,
            payload={"name": f"caf\u00e9 \udcff {number}"},
        )
        head = Head(event.seq, event.hash)
        yield event_line(event)


def check_log(lines):
    return subprocess.run(
        [sys.executable, "-c", LOG_SCRIPT], input=b"".join(lines), capture_output=True, check=False
    )


def test_log_script_of_the_page_accepts_a_whole_chain():
    assert check_log(events(3)).returncode == 0


def test_log_script_of_the_page_finds_a_removed_line():
    first, _, third = events(3)
    assert b"event 3 does not follow" in check_log([first, third]).stderr


def test_log_script_of_the_page_finds_a_changed_line():
    first, second = events(2)
    forged = json.loads(second) | {"kind": "other"}
    line = json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()
    assert b"event 2 was changed" in check_log([first, line]).stderr


def test_workspace_files_of_the_page_are_toml():
    declaration, lock = (tomllib.loads(block) for block in blocks("toml"))
    assert {"workspace", "datasets"} == set(declaration)
    assert {"dataset", "version", "root", "location"} == set(lock["datasets"]["faces"])
