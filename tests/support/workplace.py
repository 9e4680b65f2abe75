"""A directory in which root, or an ordinary user, runs jobs on gold that is theirs to write."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

from support.mountcleanup import swept
from support.namespaces import become
from support.warmcommands import Shell

__all__ = ["USER", "Workplace"]

USER = 23456
GROUPS = (34567,)


class Workplace:
    """Gold, a home, and a workspace with the gold mounted or declared in it."""

    def __init__(self, top: Path, uid: int) -> None:
        self.top, self.uid = Path(os.path.realpath(top)), uid
        self.gold, self.mine, self.work = (self.top / name for name in ("gold", "mine", "work"))
        for place in (self.gold / "dir", self.mine, self.work):
            place.mkdir(parents=True)
        (self.gold / "a").write_text("alpha\n")
        (self.gold / "dir" / "b").write_text("beta\n")
        subprocess.run(["chown", "-R", f"{uid}:{uid}", self.top], check=True)
        self.top.chmod(0o755)
        self.shell = self.on_a_host()
        self.shell.ask("register", "gold", self.gold)
        self.shell.ask("workspace", "init", self.work, "--outputs", self.mine / "out")
        self.shell.ask("mount", "gold", "-w", self.work)

    def on_a_host(self, *entries, **environment):
        """Return a shell on a host that is changed by calling `entries` first."""
        variables = {"HOME": str(self.mine), "TMPDIR": str(self.mine), **environment}
        return Shell(
            str(self.mine / "home"),
            str(self.work),
            environment=tuple(variables.items()),
            entry=partial(_enter, self.uid, str(self.top), entries),
        )

    def run(self, script, *options, shell=None, codes=(0,)):
        """Run a script of the shell and return the report."""
        words = ("run", "-w", self.work, *options, "--", "sh", "-c", script)
        return (shell or self.shell).ask(*words, codes=codes)

    @staticmethod
    def written(report, name):
        """Return an output of a run."""
        return Path(report["outputs_directory"], name).read_text()


def _enter(uid, top, entries):
    if uid:
        become(uid, top, groups=GROUPS)
    for entry in entries:
        entry()


def workplaces(top, uid):
    """Yield a workplace and take its mounts away at the end."""
    with swept(os.path.realpath(top)):
        yield Workplace(top, uid)
