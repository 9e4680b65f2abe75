"""A workspace with whole folders that repeat gold, and what must stay of them."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from dataguard.actions.reclaim import reclaim_places
from dataguard.model.reclaim import Method
from support.reclaims import Place

__all__ = ["FolderPlace", "tree_facts"]


class FolderPlace(Place):
    """As `Place`, with `mine/` a workspace and `mine/copy` an exact copy of all of gold."""

    @property
    def folder(self):
        return self.mine / "copy"

    def fill_tree(self, *, size=9000):
        """Make and register gold with links, empty and deep entries; copy it as a whole."""
        deep = self.gold / "train" / "deep"
        deep.mkdir(parents=True)
        (self.gold / "val").mkdir()
        (self.gold / "hollow").mkdir()
        for number, path in enumerate(self.names()):
            (self.gold / path).write_bytes(os.urandom(size + number))
        (self.gold / "train" / "empty").touch()
        os.link(self.gold / "train" / "a", deep / "again")
        (self.gold / "val" / "way").symlink_to("../train/a")
        (self.gold / "val" / "gone").symlink_to("nowhere")
        self.ask("register", "faces", str(self.gold))
        self.mine.mkdir()
        self.copy_tree()
        os.sync()

    @staticmethod
    def names():
        odd = (b"train/odd\n\xff", b"val/-x")
        return ["top", "train/a", "train/b", "train/deep/c", *map(os.fsdecode, odd)]

    def copy_tree(self):
        subprocess.run(["cp", "-a", "--reflink=never", self.gold, self.folder], check=True)
        for number, path in enumerate(self.names()):
            os.chmod(self.folder / path, 0o640)
            os.utime(self.folder / path, ns=(10**18, 10**18 + number))
        os.chmod(self.folder / "train" / "deep", 0o2750)
        os.utime(self.folder / "val" / "gone", ns=(5, 10**17), follow_symlinks=False)
        os.utime(self.folder / "train", ns=(10**18, 10**17))
        os.utime(self.folder, ns=(10**18, 10**17 + 5))

    def give_back(self, method=Method.LINK, *, apply=True, place=None, **options):
        with self.context() as ctx:
            where = (str(place or self.mine),)
            return reclaim_places(ctx, where, method, apply=apply, folders=True, **options)


def tree_facts(top):
    """All that must stay: names, kinds, bytes, owners, modes, times, and which are one file."""
    found, firsts = {}, {}
    for directory, folders, files in os.walk(os.fsencode(top)):
        for name in [b".", *folders, *files]:
            path = os.path.normpath(os.path.join(directory, name))
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(top))
            found[relative] = (
                *(status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns),
                _content(path, status.st_mode),
                firsts.setdefault(status.st_ino, relative) if status.st_nlink > 1 else None,
            )
    return found


def _content(path, mode):
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    return Path(os.fsdecode(path)).read_bytes() if stat.S_ISREG(mode) else b""
