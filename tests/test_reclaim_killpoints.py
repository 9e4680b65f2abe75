"""SIGKILL while space is given back: no file is lost or changed, a rerun converges, undo works."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support.killpoints import kill_everywhere, why_no_strace
from support.reclaims import facts_of, plain_copy
from support.warmcommands import Shell

pytestmark = pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")

LINKING = ("symlinkat", "renameat2", "unlinkat", "fsync", "write", "fcntl")
SHARING = ("ioctl", "write", "fsync", "fcntl")
UNDOING = ("openat", "renameat2", "unlinkat", "fsync", "write", "fchmod", "utimensat")
NAMES = ("a", "b", "c")


class Bench:
    """Gold and its copies, the home, and copies of both homes and copies to start from."""

    def __init__(self, top, home, *words):
        self.gold, self.mine, self.kept = top / "gold", top / "mine", top / "kept"
        self.home, self.clean = home, Path(f"{home}.clean")
        self.shell = Shell(str(home))
        self.words = (str(self.mine), *words)
        self.gold.mkdir()
        for number, name in enumerate(NAMES):
            (self.gold / name).write_bytes(os.urandom(9000 + number))
        self.shell.ask("register", "faces", self.gold)
        self.shell.ask("copies", self.gold, codes=(0, 3))  # the index is made
        shutil.copytree(home, self.clean)
        self.fill()
        self.facts = self.now()

    def fill(self):
        self.mine.mkdir()
        for number, name in enumerate(NAMES):
            plain_copy(self.gold / name, self.mine / name)
            os.chmod(self.mine / name, 0o640)
            os.utime(self.mine / name, ns=(10**18, 10**18 + number))
        os.sync()

    def reset(self):
        for place in (self.home, self.mine):
            shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.clean, self.home)
        self.fill()

    def now(self):
        """Content, owner, mode and modification time by name."""
        found = {}
        for name in NAMES:
            content, uid, gid, mode, times = facts_of(self.mine / name)
            found[name] = (content, uid, gid, mode, times[0])
        return found

    def check_nothing_lost(self):
        for name in NAMES:
            if (self.mine / name).is_symlink():
                assert os.readlink(self.mine / name) == str(self.gold / name)
                assert (self.mine / name).read_bytes() == self.facts[name][0]
            else:
                assert self.facts[name] == self.now()[name]
        assert self.shell.ask("catalog", "check")["sound"]

    def ids(self):
        found = (self.home / "state" / "reclaim").glob("*.jsonl")
        return sorted(path.stem for path in found)

    def undo_all(self):
        for reclaim_id in self.ids():
            self.shell.call("reclaim", "--undo", reclaim_id)
        assert self.facts == self.now()
        assert [*NAMES] == sorted(os.listdir(self.mine))
        assert not any((self.mine / name).is_symlink() for name in NAMES)


def spread(request, default):
    return 20 if request.config.getoption("--long") else default


def test_links_killed_anywhere_lose_no_file_and_can_be_finished_and_undone(tmp_path, request):
    bench = Bench(tmp_path, tmp_path / "home", "--method", "link", "--link-gold", "--apply")

    def check(_point):
        bench.check_nothing_lost()
        bench.shell.ask("reclaim", *bench.words)
        assert all((bench.mine / name).is_symlink() for name in NAMES)
        assert [*NAMES] == sorted(os.listdir(bench.mine))
        assert [] == bench.shell.ask("reclaim", bench.mine)["unfinished"]
        bench.check_nothing_lost()
        bench.undo_all()

    points = kill_everywhere(
        lambda: bench.shell.start("reclaim", *bench.words, traced=True),
        prepare=bench.reset,
        check=check,
        syscalls=LINKING,
        limit=10_000,
        spread=spread(request, 1),
    )
    assert points >= (60 if request.config.getoption("--long") else 5)


def test_an_undo_killed_anywhere_goes_on(tmp_path, request):
    bench = Bench(tmp_path, tmp_path / "home", "--method", "link", "--link-gold", "--apply")
    (made,) = [bench.shell.ask("reclaim", *bench.words)["id"]]
    shutil.rmtree(bench.clean)
    shutil.copytree(bench.home, bench.clean)
    assert (bench.mine / "a").is_symlink()

    def prepare():
        bench.reset()
        for name in NAMES:
            os.unlink(bench.mine / name)
            os.symlink(bench.gold / name, bench.mine / name)

    def check(_point):
        bench.check_nothing_lost()
        bench.undo_all()

    points = kill_everywhere(
        lambda: bench.shell.start("reclaim", "--undo", made, traced=True),
        prepare=prepare,
        check=check,
        syscalls=UNDOING,
        limit=10_000,
        spread=spread(request, 1),
    )
    assert points >= (40 if request.config.getoption("--long") else 5)


@pytest.mark.parametrize("kind", ["xfs", pytest.param("btrfs", marks=pytest.mark.long)])
def test_shared_blocks_killed_anywhere_change_no_file(kind, tmp_path, request):
    image = request.getfixturevalue(f"loop_{kind}")
    bench = Bench(Path(image.top), tmp_path / "home", "--apply")

    def check(_point):
        assert bench.facts == bench.now()
        bench.shell.ask("reclaim", *bench.words)
        assert [] == bench.shell.ask("reclaim", *bench.words)["steps"]
        assert bench.facts == bench.now()
        assert bench.shell.ask("catalog", "check")["sound"]

    points = kill_everywhere(
        lambda: bench.shell.start("reclaim", *bench.words, traced=True),
        prepare=bench.reset,
        check=check,
        syscalls=SHARING,
        limit=10_000,
        spread=spread(request, 1),
    )
    assert points >= (40 if request.config.getoption("--long") else 3)
