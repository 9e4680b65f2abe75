from __future__ import annotations

import base64
import csv
import io
import os
import re

import pytest
from escaping import TOKEN, raw_path
from hypothesis import given
from hypothesis import strategies as st

from corpora.evil_names import BELOW, EVIL_NAMES, make_tree
from dataguard.core.paths import display, escape
from support.mountcleanup import needs_mounts

FINDING = re.compile(rf"(DG10[123]) error ({TOKEN}): (.*)")
HEAD = re.compile(r"evil@1 NOT CLEAN \((quick|full)\): [\d,]+ files, .* read at \S+")
COUNT = re.compile(r"findings: (.*)")


@given(st.binary(min_size=1))
def test_displayed_path_can_be_taken_back_and_is_one_printable_token(path):
    shown = display(path)
    assert path == raw_path(shown)
    assert shown.isprintable()
    assert re.fullmatch(TOKEN, shown)


@given(st.text(), st.text())
def test_escaped_texts_are_equal_only_where_the_texts_are(one, other):
    assert (one == other) == (escape(one) == escape(other))


def test_undecodable_byte_and_control_character_of_that_number_are_told_apart():
    assert display(b"\x9b31m") != display("\x9b31m".encode())


@pytest.fixture
def evil(world):
    """The corpus, registered as evil@1, and its contents."""
    tree = make_tree(world.top / "evil-source")
    found = world.ask_json("register", "evil", str(world.top / "evil-source"))
    assert len(tree) == found["files"]
    assert [] == found["findings"]
    return world, tree


@pytest.fixture
def mutated(evil):
    """The corpus after a change, a removal and an addition for every third name each."""
    world, tree = evil
    top = os.fsencode(world.top / "evil-source") + b"/"
    expected = {"DG101": set(), "DG102": set(), "DG103": set()}
    for number, path in enumerate(tree):
        if number % 3 == 0:
            with open(top + path, "ab") as file:
                file.write(b"!")
            expected["DG101"].add(path)
        elif number % 3 == 1:
            os.unlink(top + path)
            if path.startswith(BELOW):
                os.rmdir(os.path.dirname(top + path))  # or it would be an entry of its own
            expected["DG102"].add(path)
    for name in EVIL_NAMES[::3]:
        extra = b"extra/" + name
        os.makedirs(top + b"extra", exist_ok=True)
        with open(top + extra, "xb"):
            expected["DG103"].add(extra)
    return world, expected


def assert_told(expected, told):
    assert {code: len(paths) for code, paths in expected.items()} == {
        code: len(paths) for code, paths in told.items()
    }
    assert expected == {code: set(paths) for code, paths in told.items()}


def from_json(row):
    return base64.b64decode(row["path_b64"]) if row.get("path_b64") else row["path"].encode()


def by_code(rows):
    told = {}
    for code, path in rows:
        told.setdefault(code, []).append(path)
    return told


@needs_mounts
def test_every_name_is_there_through_a_mount(evil):
    world, tree = evil
    ws = world.workspace(mounted=("evil@1",))
    top = os.fsencode(ws / "data" / "evil") + b"/"
    for path, content in tree.items():
        with open(top + path, "rb") as file:
            assert content == file.read()
    assert [] == world.ask_json("audit")["findings"]


@pytest.mark.parametrize("level", ["quick", "full"])
def test_audit_as_json_tells_every_mutated_path(mutated, level):
    world, expected = mutated
    found = world.ask_json("audit", "--level", level, code=3)["findings"]
    assert_told(expected, by_code((one["code"], from_json(one)) for one in found))


def test_audit_as_json_lines_tells_every_mutated_path(mutated):
    world, expected = mutated
    rows = world.ask("audit", "--format", "jsonl").rows
    assert_told(expected, by_code((one["code"], from_json(one)) for one in rows))


def test_audit_as_csv_tells_every_mutated_path_without_formulas_or_control(mutated):
    world, expected = mutated
    answer = world.ask("audit", "--format", "csv")
    assert answer.out.replace("\r\n", "").isprintable()
    rows = [*csv.DictReader(io.StringIO(answer.out, newline=""))]
    assert answer.out.count("\r\n") == 1 + len(rows)
    assert [] == [row["path"] for row in rows if row["path"].startswith(tuple("=+-@\t\r"))]
    paths = (
        base64.b64decode(row["path_b64"]) if row["path_b64"] else raw_path(f'"{row["path"]}"')
        for row in rows
    )
    assert_told(expected, by_code(zip((row["code"] for row in rows), paths, strict=True)))


@pytest.mark.parametrize("color", ["never", "always"])
def test_audit_as_text_tells_every_mutated_path_on_a_line_of_its_own(mutated, color):
    world, expected = mutated
    answer = world.ask("audit", "-v", "--color", color)
    text = (
        re.sub(r"\x1b\[(?:31;1|33|32|2|1|0)m", "", answer.out) if color == "always" else answer.out
    )
    head, *findings, count = text.removesuffix("\n").split("\n")
    assert text.replace("\n", "").isprintable()
    assert HEAD.fullmatch(head)
    told = by_code((m[1], raw_path(m[2])) for m in map(FINDING.fullmatch, findings))
    assert_told(expected, told)
    counts = ", ".join(f"{len(expected[code]):,} {code}" for code in re.findall("DG1..", count))
    assert counts == COUNT.fullmatch(count)[1]


def test_recorded_findings_are_the_same_in_every_format(mutated):
    world, expected = mutated
    world.ask("audit")
    rows = world.ask("findings", "list", "--format", "jsonl").rows
    assert_told(expected, by_code((one["code"], from_json(one)) for one in rows))
    text = world.ask("findings", "list").out
    lines = [line for line in text.split("\n") if line.startswith("F-")]
    told = by_code((m[1], raw_path(m[2])) for m in (FINDING.search(line) for line in lines))
    assert_told(expected, told)


def test_refused_registration_and_diff_tell_the_same(mutated):
    world, expected = mutated
    place = str(world.top / "evil-source")
    refused = world.ask_json("register", "evil", place, code=3)["findings"]
    assert_told(expected, by_code((one["code"], from_json(one)) for one in refused))
    world.ask_json("register", "evil", place, "--supersede", "--reason", "on purpose")
    found = world.ask_json("diff", "evil@1", "evil@2")
    told = {
        "DG101": [from_json(one) for one in found["changed"]],
        "DG102": [from_json(one) for one in found["removed"]],
        "DG103": [from_json(one) for one in found["added"]],
    }
    assert_told(expected, told)
    text = world.ask("diff", "evil@1", "evil@2", "-v").out
    assert text.replace("\n", "").isprintable()
    assert 2 + sum(map(len, expected.values())) == text.count("\n")


@needs_mounts
def test_outputs_of_a_run_with_evil_names_are_recorded_exactly(evil):
    world, tree = evil
    ws = world.workspace(mounted=("evil@1",))
    words = ("run", "-w", str(ws), "--", "sh", "-c", "cp -r {in:evil}/. {out}/copy")
    found = world.ask_json(*words)
    copied = {from_json(one) for one in found["outputs"]}
    assert {b"copy/" + path for path in tree} == copied
    file = os.path.join(os.fsencode(found["outputs_directory"]), b"copy", EVIL_NAMES[40])
    assert world.ask_json("lineage", file)["unchanged"]
