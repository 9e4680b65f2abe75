"""Builds the C program that shows the physical limit."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limit", "build"]

SOURCE = Path(__file__).with_name("limit.c")
COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True, slots=True)
class Limit:
    """The compiled program; `hashes` is false where the header of xxHash was missing."""

    program: Path
    hashes: bool

    def command(self, mode: str, threads: int, root: Path) -> tuple[str, ...]:
        """Return the words that run it: mode `stat`, `read`, `hash` or `drop`."""
        return (str(self.program), mode, str(threads), str(root))


def build(directory: Path) -> Limit | None:
    """Compile the program into a directory; None where there is no compiler.

    Without the header of xxHash the program reads what it would hash.

    Raises:
        SystemExit: the compiler does not take the source.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return None
    program = directory / "limit"
    for hashes, options in ((True, ()), (False, ("-DWITHOUT_HASH",))):
        words = [compiler, "-O3", "-march=native", "-pthread", *options, SOURCE, "-o", program]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Limit(program, hashes)
    raise SystemExit(f"{compiler} does not compile {SOURCE}:\n{done.stderr}")
