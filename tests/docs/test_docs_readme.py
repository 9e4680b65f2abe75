"""The front page: what it promises is what the pages say, what it shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SESSION = re.search(r"^```\n(\$ dataguard register.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
BREAK = "\x1e"


def table(text):
    """The lines of the first table."""
    return re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()


def shape(text):
    """What stays when digests, run ids, sizes, counts and the host's audit are others."""
    changing = (
        *(r"dg1:[0-9a-f]{64}", r"\d{8}T\d{6}-[0-9a-f]{8}", r"[\d.]+ (?:k|M)?B\b"),
        *(r"attempts: .*", r"\d+"),
    )
    for pattern in changing:
        text = re.sub(pattern, "#", text)
    return text


def test_readme_quotes_the_guarantees_of_the_page():
    promised = re.findall(r"^\*\*(.*)\*\*$", GUARANTEES, re.MULTILINE)
    assert promised == re.findall(r"^\d\. (.*)$", README, re.MULTILINE)


def test_readme_has_the_mount_table_of_the_page():
    assert table(GUARANTEES) == table(README)


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^):#]+)\)", README)
    assert len(targets) > 10
    assert [] == [target for target in targets if not (ROOT / target).exists()]


def test_scripts_of_the_readme_can_be_run():
    named = set(re.findall(r"scripts/\w+", README))
    assert {"scripts/demo", "scripts/test"} <= named
    assert [] == [name for name in named if not os.access(ROOT / name, os.X_OK)]


@pytest.mark.skipif(os.geteuid() != 0, reason="the session is that of root")
def test_session_of_the_readme_gives_the_output_it_shows(tmp_path):
    source = tmp_path / "data" / "gold" / "vega"
    source.mkdir(parents=True)
    for number in range(3):
        (source / f"{'airports' if number == 0 else number}.csv").write_text("a,b\n1,2\n")
    text = re.sub(r"(?<!\w)/data/", f"{tmp_path}/data/", SESSION)
    _, *parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    commands, shown = parts[::2], parts[1::2]
    script = "exec 2>&1\n" + "".join(f"{command}\nprintf '{BREAK}'\n" for command in commands)
    try:
        done = session(script, tmp_path)
    finally:
        session("cd study && dataguard unmount --all", tmp_path)
    found = done.stdout.split(BREAK)[:-1]
    assert [shape(text) for text in shown] == [shape(text) for text in found]


def session(script, tmp_path):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path / "data",
        env={**os.environ, "PATH": path, "DATAGUARD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
