from __future__ import annotations

import shutil
import sys

import pytest

from support.killpoints import kill_everywhere, why_no_strace
from support.warmcommands import Shell

pytestmark = pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")

PROGRAM = """
import os
for name in "abc":
    os.mkdir(name)
os.rename("a", "z")
"""


def test_dies_once_at_each_call_and_leaves_the_state_before_it(tmp_path):
    work = tmp_path / "work"
    seen = {}

    def prepare():
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()

    def check(point):
        seen[point.syscall, point.number] = "".join(sorted(p.name for p in work.iterdir()))

    points = kill_everywhere(
        [sys.executable, "-c", PROGRAM],
        prepare=prepare,
        check=check,
        syscalls=("mkdir", "rename", "renameat2", "flock"),
        directory=str(work),
    )
    expected = {("mkdir", 1): "", ("mkdir", 2): "a", ("mkdir", 3): "ab", ("rename", 1): "abc"}
    assert (expected, 4) == (seen, points)


def test_limit_and_stride_choose_the_points(tmp_path):
    numbers = []
    points = kill_everywhere(
        ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo; done"],
        prepare=lambda: None,
        check=lambda point: numbers.append(point.number),
        syscalls=("write",),
        limit=3,
        every=2,
        directory=str(tmp_path),
    )
    assert ([1, 3, 5], 3) == (numbers, points)


def test_death_of_a_child_counts_while_the_parent_ends_well(tmp_path):
    returncodes = []
    points = kill_everywhere(
        ["sh", "-c", "mkdir d; rmdir d; true"],
        prepare=lambda: None,
        check=lambda point: returncodes.append(point.returncode),
        syscalls=("rmdir", "nosuchcall"),
        directory=str(tmp_path),
    )
    assert ([0], 1) == (returncodes, points)


def test_spread_takes_points_from_the_middle_of_each_share(tmp_path):
    numbers = []
    points = kill_everywhere(
        ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo; done"],
        prepare=lambda: None,
        check=lambda point: numbers.append(point.number),
        syscalls=("write",),
        spread=2,
        directory=str(tmp_path),
    )
    assert ([3, 7], 2) == (numbers, points)


def test_process_that_waits_for_strace_dies_at_the_same_calls(tmp_path):
    seen = []
    home = tmp_path / "home"
    shell = Shell(str(home))

    def prepare():
        shutil.rmtree(home, ignore_errors=True)

    points = kill_everywhere(
        lambda: shell.start("catalog", "init", traced=True),
        prepare=prepare,
        check=lambda point: seen.append((point.number, point.returncode, home.exists())),
        syscalls=("mkdir",),
        limit=1,
    )
    assert (1, [(1, -9, False)]) == (points, seen)
