"""SIGKILL while a seal is set or taken away: the same command goes on, and nothing is forgotten."""

from __future__ import annotations

import os
import shutil
import stat

import pytest

from support.killpoints import kill_everywhere, why_no_strace
from support.sealcleanup import flagged, needs_flags, opened_again, set_flag
from support.warmcommands import Shell

pytestmark = [
    needs_flags,
    pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-"),
]

CALLS = ("ioctl", "fchmod", "fsync", "rename", "syncfs")
ODD = {"a": 0o6664, "part": 0o2777, "part/b": 0o460, "part/empty": 0o1733, ".": 0o755}


class Bench:
    """A source, a home, and a copy of the home to start from."""

    def __init__(self, root):
        self.gold, self.home, self.kept = root / "gold", root / "home", root / "kept"
        self.shell = Shell(str(self.home))
        (self.gold / "part" / "empty").mkdir(parents=True)
        (self.gold / "a").write_text("alpha\n")
        (self.gold / "part" / "b").write_text("beta\n")
        (self.gold / "part" / "c").write_text("gamma\n")
        (self.gold / "link").symlink_to("part/b")
        for path, mode in ODD.items():
            (self.gold / path).chmod(mode)

    def modes(self):
        found = {}
        for directory, names, files in os.walk(self.gold):
            for name in (".", *names, *files):
                path = os.path.join(directory, name)
                found[path] = stat.S_IMODE(os.lstat(path).st_mode)
        return found

    def clear(self, modes):
        """Bring the source back to what it was, without dataguard."""
        for path in (*flagged(self.gold), "."):
            set_flag(self.gold / path, on=False)
        for path, mode in modes.items():
            if not os.path.islink(path):
                os.chmod(path, mode)
        shutil.rmtree(self.home)


@pytest.fixture
def bench(tmp_path):
    with opened_again(tmp_path):
        yield Bench(tmp_path)


def spread(request):
    return 40 if request.config.getoption("--long") else 2


@pytest.mark.parametrize("kind", ["immutable", "mode"])
def test_a_seal_killed_anywhere_is_finished_by_the_same_command(bench, kind, request):
    modes = bench.modes()
    bench.shell.ask("register", "faces", bench.gold)
    shutil.copytree(bench.home, bench.kept)

    def prepare():
        bench.clear(modes)
        shutil.copytree(bench.kept, bench.home)
        bench.shell.ask("register", "faces", bench.gold)  # its flags moved the change times

    def check(_point):
        assert bench.shell.ask("catalog", "check")["sound"]
        bench.shell.ask("seal", "faces", "--seal", kind)
        assert 0 == bench.shell.ask("audit", "faces", "--level", "quick")["checked_bytes"]
        bench.shell.ask("unseal", "faces", "--reason", "why", "--for", "good")
        assert modes == bench.modes()
        assert set() == flagged(bench.gold)

    points = kill_everywhere(
        lambda: bench.shell.start("seal", "faces", "--seal", kind, traced=True),
        prepare=prepare,
        check=check,
        syscalls=CALLS,
        limit=10_000,
        spread=spread(request),
    )
    assert points >= 8


@pytest.mark.parametrize(("kind", "then"), [("immutable", "seal"), ("mode", "unseal")])
def test_an_opening_killed_anywhere_can_be_finished_or_taken_back(bench, kind, then, request):
    modes = bench.modes()
    opening = ("unseal", "faces", "--reason", "why", "--for", "good")
    bench.shell.ask("register", "faces", bench.gold)
    shutil.copytree(bench.home, bench.kept)

    def prepare():
        bench.clear(modes)
        shutil.copytree(bench.kept, bench.home)
        bench.shell.ask("register", "faces", bench.gold)
        bench.shell.ask("seal", "faces", "--seal", kind)

    def check(_point):
        assert bench.shell.ask("catalog", "check")["sound"]
        if bench.shell.ask("show", "faces")["seal"] != "none":  # else it was done
            if then == "seal":
                bench.shell.ask("seal", "faces")
                assert 0 == bench.shell.ask("audit", "faces", "--level", "quick")["checked_bytes"]
            bench.shell.ask(*opening)
        assert modes == bench.modes()
        assert set() == flagged(bench.gold)
        assert [] == bench.shell.ask("audit", "faces", "--level", "quick")["findings"]

    points = kill_everywhere(
        lambda: bench.shell.start(*opening, traced=True),
        prepare=prepare,
        check=check,
        syscalls=CALLS,
        limit=10_000,
        spread=spread(request),
    )
    assert points >= 6
