"""SIGKILL while a folder becomes a link, or comes back: it is whole, or the link and a journal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support.killpoints import kill_everywhere, why_no_strace
from support.mountcleanup import needs_mounts, swept
from support.reclaimfolders import FolderPlace, tree_facts
from support.warmcommands import Shell

pytestmark = [needs_mounts, pytest.mark.skipif(bool(why_no_strace()), reason="no strace")]

LINKING = ("renameat2", "unlinkat", "fsync", "symlinkat", "write", "fcntl", "fchmod")
UNDOING = (
    *("renameat2", "unlinkat", "mkdirat", "linkat", "symlinkat", "write", "fchmod", "syncfs"),
    *("openat", "fsync", "utimensat"),
)
SHORT = 3


class FolderBench(FolderPlace):
    """A whole folder in a workspace, the home, and a copy of the home to start from."""

    def prepare(self):
        self.fill_tree(size=9000)
        self.workspace()
        self.shell = Shell(str(self.home))
        self.shell.ask("copies", self.gold, codes=(0, 3))  # the index is made
        self.clean = Path(f"{self.home}.clean")
        self.words = ("reclaim", str(self.mine), "--folders", "--method", "link", "--apply")
        self.facts = tree_facts(self.folder)
        shutil.copytree(self.home, self.clean)

    def reset(self):
        for name in os.listdir(self.mine):
            if name.startswith((".dataguard", "copy")):
                self.remove(self.mine / name)
        shutil.rmtree(self.home)
        shutil.copytree(self.clean, self.home)
        self.copy_tree()
        os.sync()

    @staticmethod
    def remove(path):
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)

    def check_nothing_lost(self):
        if self.folder.is_symlink():
            assert os.readlink(self.folder) == str(self.mine / "data" / "faces")
            for path in self.names():
                assert (self.gold / path).read_bytes() == (self.folder / path).read_bytes()
        else:
            assert self.facts == tree_facts(self.folder)
        assert self.shell.ask("catalog", "check")["sound"]

    def undo_all(self):
        ids = sorted(path.stem for path in (self.home / "state" / "reclaim").glob("*.jsonl"))
        for reclaim_id in ids:
            self.shell.call("reclaim", "--undo", reclaim_id)
        assert self.facts == tree_facts(self.folder)
        assert [] == self.between()

    def between(self):
        return [name for name in os.listdir(self.mine) if name.startswith(".dataguard")]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    with swept(tmp_path):
        monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))
        made = FolderBench(tmp_path, tmp_path / "home")
        made.prepare()
        yield made


def points_of(request, syscalls):
    """How many points of which system calls are tried."""
    if request.config.getoption("--long"):
        return {"syscalls": syscalls, "spread": 20}
    return {"syscalls": syscalls[:SHORT], "spread": 1}


def test_a_folder_killed_anywhere_is_whole_or_a_link_and_can_be_finished(bench, request):
    def check(_point):
        bench.check_nothing_lost()
        bench.shell.ask(*bench.words)
        assert bench.folder.is_symlink()
        assert [] == bench.between()
        assert [] == bench.shell.ask("reclaim", bench.mine)["unfinished"]
        bench.check_nothing_lost()
        bench.undo_all()

    points = kill_everywhere(
        lambda: bench.shell.start(*bench.words, traced=True),
        prepare=bench.reset,
        check=check,
        limit=10_000,
        **points_of(request, LINKING),
    )
    assert points >= (60 if request.config.getoption("--long") else SHORT)


@pytest.mark.long
def test_a_folder_killed_anywhere_can_be_undone_at_once(bench):
    def check(_point):
        bench.check_nothing_lost()
        bench.undo_all()

    points = kill_everywhere(
        lambda: bench.shell.start(*bench.words, traced=True),
        prepare=bench.reset,
        check=check,
        syscalls=("unlinkat", "fsync"),
        limit=10_000,
        spread=20,
    )
    assert points >= 20


def test_an_undo_of_a_folder_killed_anywhere_goes_on(bench, request):
    made = bench.shell.ask(*bench.words)["id"]
    shutil.rmtree(bench.clean)
    shutil.copytree(bench.home, bench.clean)

    def prepare():
        bench.reset()
        shutil.rmtree(bench.folder)
        os.symlink(bench.mine / "data" / "faces", bench.folder)

    def check(_point):
        bench.check_nothing_lost()
        bench.undo_all()

    points = kill_everywhere(
        lambda: bench.shell.start("reclaim", "--undo", made, traced=True),
        prepare=prepare,
        check=check,
        limit=10_000,
        **points_of(request, UNDOING),
    )
    assert points >= (40 if request.config.getoption("--long") else SHORT)
