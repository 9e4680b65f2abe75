"""A registered tree, read through `gold://`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fsspec
import pytest

from dataguard.cli import main
from dataguard.hooks.goldfilesystem import GoldFileSystem

fsspec.register_implementation("gold", GoldFileSystem, clobber=True)  # as the entry point does

HEAD = "vision/faces@1"


class Gold:
    """A tree, its home, and `gold://` over it."""

    def __init__(self, top: Path) -> None:
        self.top, self.tree = top, top / "gold"
        self.outputs = top / "outputs"

    def fs(self, **options) -> GoldFileSystem:
        """Return a file system that knows nothing yet."""
        GoldFileSystem.clear_instance_cache()
        return GoldFileSystem(**options)

    def ask(self, *words: object, code: int = 0) -> None:
        assert code == main([*map(str, words), "-q"])

    def register(self, name: str = "vision/faces", tree: Path | None = None, *words: str) -> None:
        self.ask("register", name, tree or self.tree, *words)

    def grown_old(self) -> None:
        """Let every file be older than what may have changed without a trace."""
        past = time.time_ns() - 3_600_000_000_000
        for path in sorted(self.tree.rglob("*"), reverse=True):
            os.utime(path, ns=(past, past), follow_symlinks=False)


@pytest.fixture
def unregistered(tmp_path, monkeypatch):
    gold = Gold(Path(os.path.realpath(tmp_path)))
    (gold.tree / "train").mkdir(parents=True)
    (gold.tree / "empty").mkdir()
    for number in range(5):
        (gold.tree / "train" / f"{number:04}.jpg").write_bytes(b"picture %d\n" % number)
    (gold.tree / "labels.csv").write_text("name,label\n0000,1\n0001,2\n")
    (gold.tree / "nothing").touch()
    (gold.tree / "br[1]*?").write_bytes(b"brackets")
    (gold.tree / "a@b").write_bytes(b"at")
    (gold.tree / os.fsdecode(b"\xff\n")).write_bytes(b"odd")
    (gold.tree / "link").symlink_to("train/0001.jpg")
    (gold.tree / "folder").symlink_to("train")
    (gold.tree / "loop").symlink_to("loop")
    (gold.tree / "train" / "up").symlink_to("../labels.csv")
    monkeypatch.setenv("DATAGUARD_HOME", str(gold.top / "home"))
    monkeypatch.chdir(gold.top)
    yield gold
    GoldFileSystem.clear_instance_cache()


@pytest.fixture
def gold(unregistered):
    """The tree as vision/faces@1."""
    unregistered.grown_old()
    unregistered.register()
    return unregistered
