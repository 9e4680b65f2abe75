from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dataguard.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "changes")
GROUP = typer.main.get_command(app)


def known(words):
    """Whether the words after `dataguard` begin a command."""
    group = GROUP
    for word in words:
        commands = getattr(group, "commands", None)
        if commands is None:
            return True
        if word not in commands:
            return False
        group = commands[word]
    return True


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_name_only_commands_that_exist(path):
    quoted = re.findall(r"(?:`|^|bin/|sudo )dataguard ([a-z ]+)", path.read_text(), re.MULTILINE)
    assert [] == [words for words in quoted if not known(words.split()[:2])]


def test_command_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("", 0) == (done.stdout + done.stderr, done.returncode)


def test_every_visible_command_has_help_and_a_page():
    pages = runpy.run_path(str(ROOT / "scripts" / "docs"))["pages"](GROUP)
    visible = {f"{n}.md": c for n, c in GROUP.commands.items() if not c.hidden}
    assert {*visible, "README.md"} == set(pages)
    assert [] == [name for name, command in visible.items() if not command.help]
