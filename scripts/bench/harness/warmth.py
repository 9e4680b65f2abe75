"""Makes sure that a corpus is in the page cache, or that it is not, before each run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.running import Run

__all__ = ["Warmth", "drop", "enforce", "is_as_said", "warm", "warm_program"]

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


def warm(*roots: Path) -> None:
    """Read every file."""
    command = 'find "$@" -type f -print0 | xargs -0 -r -P2 -n1000 cat'
    subprocess.run(["sh", "-c", command, "sh", *roots], stdout=subprocess.DEVNULL, check=True)


def warm_program() -> None:
    """Read the interpreter and all that it may load: kernels take back what was idle for a minute.

    Keep the environment small: everything installed in it is read before each run.
    """
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platlib", "purelib")}
    own = importlib.util.find_spec("dataguard")
    package = [Path(own.origin).parent] if own is not None and own.origin else []
    warm(Path(sys.executable).resolve(), *libraries, *package)


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
