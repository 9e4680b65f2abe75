"""Makes sure that a corpus is in the page cache, or that it is not, before each run."""

from __future__ import annotations

import os
import subprocess
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from harness.running import Run

__all__ = ["Warmth", "drop", "enforce", "is_as_said", "warm"]

STRAY_BYTES = 1 << 20
"""A warm run may read that much from a disk: a program's own files, metadata."""

COLD_SHARE = 0.5
"""A cold run reads at least that part of the corpus from a disk, or it was not cold."""


class Warmth(StrEnum):
    """Where the bytes of a corpus are when a run begins."""

    WARM = "warm"
    COLD = "cold"


def enforce(warmth: Warmth, root: Path) -> None:
    """Read every file below `root`, or have the page cache forget each of them.

    Cold means the files' data: inodes and directories stay in memory.
    """
    match warmth:
        case Warmth.WARM:
            warm(root)
        case Warmth.COLD:
            drop(root)


def warm(root: Path) -> None:
    """Read every file."""
    command = 'find "$1" -type f -print0 | xargs -0 -r -P2 -n1000 cat'
    subprocess.run(["sh", "-c", command, "sh", root], stdout=subprocess.DEVNULL, check=True)


def drop(root: Path) -> None:
    """Have the page cache forget the data of exactly these files; dirty pages are written first."""
    os.sync()
    for directory, _, names, where in os.fwalk(root):
        for name in names:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=where)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            except OSError as err:
                err.filename = os.path.join(directory, name)
                raise
            finally:
                os.close(file)


def is_as_said(warmth: Warmth, run: Run, corpus_bytes: int) -> bool:
    """Whether a run found the corpus where it was said to be, by what it read from disks."""
    if warmth is Warmth.WARM:
        return run.read <= STRAY_BYTES
    return run.read >= COLD_SHARE * corpus_bytes
