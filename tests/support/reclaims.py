"""A registered tree, copies of its files beside it, and somebody who wants their space back."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dataguard.actions import settings as settings_of
from dataguard.actions.reclaim import reclaim, undo
from dataguard.cli import main
from dataguard.cli.opening import open_context
from dataguard.model.copies import Copy, CopyKind
from dataguard.model.ports import NoProgress
from dataguard.model.reclaim import Method

__all__ = ["Place", "facts_of", "free_bytes"]


@dataclass
class Place:
    """A directory with `gold/` (faces@1) and `mine/`, and a home."""

    top: Path
    home: Path

    @property
    def gold(self):
        return self.top / "gold"

    @property
    def mine(self):
        return self.top / "mine"

    def fill(self, **sizes):
        """Make and register files of random bytes, and copy all of them to `mine/`."""
        self.gold.mkdir()
        for name, size in sizes.items():
            (self.gold / name).write_bytes(os.urandom(size))
        shutil.copytree(self.gold, self.mine, copy_function=plain_copy)
        for number, name in enumerate(sorted(sizes)):
            os.utime(self.mine / name, ns=(10**18, 10**18 + number))
        self.ask("register", "faces", str(self.gold))
        os.sync()

    def ask(self, *words, code=0):
        assert code == main([*words, "-q"])

    def workspace(self):
        """Make `mine/` a workspace with faces@1 mounted at `data/faces`."""
        self.ask("workspace", "init", str(self.mine), "--outputs", str(self.top / "outputs"))
        self.ask("mount", "faces", "-w", str(self.mine))

    def copy(self, name, *, of=None, kind=CopyKind.EXACT):
        path = self.mine / name
        return Copy(
            path=os.fsencode(path),
            kind=kind,
            dataset="faces",
            version=1,
            entry=os.fsencode(of or name),
            original=os.fsencode(self.gold / (of or name)),
            bytes=path.stat().st_size,
            reclaimable=path.stat().st_blocks * 512,
        )

    def copies(self):
        names = sorted(path.name for path in self.gold.iterdir())
        return [self.copy(name) for name in names]

    @contextlib.contextmanager
    def context(self):
        loaded = settings_of.load({}, os.environ, workspace=None)
        with open_context(loaded, settings_of.load_policy(loaded).policy, NoProgress()) as made:
            yield made

    def reclaim(self, copies=None, method=Method.AUTO, *, apply=True, **options):
        with self.context() as ctx:
            wanted = self.copies() if copies is None else copies
            return reclaim(ctx, wanted, method, apply=apply, **options)

    def undo(self, reclaim_id, **options):
        with self.context() as ctx:
            return undo(ctx, reclaim_id, **options)


def plain_copy(source, target):
    """Copy bytes by hand: the library has the kernel share blocks where it can."""
    Path(target).write_bytes(Path(source).read_bytes())


def facts_of(path):
    """What must stay of a file: content, owner, mode, times."""
    status = os.stat(path)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return Path(path).read_bytes(), status.st_uid, status.st_gid, status.st_mode, times


def free_bytes(top):
    os.sync()
    found = os.statvfs(top)
    return found.f_bfree * found.f_frsize
