"""The programs that dataguard is measured against, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Peers", "version"]

VERSION_OPTIONS = {"restic": "version", "b3sum": "--version", "strace": "-V", "hashdeep": "-V"}


@dataclass(frozen=True, slots=True)
class Peers:
    """Where to look for programs: the given directory first, then PATH."""

    directory: Path | None

    def find(self, name: str) -> str | None:
        """Return the path of a program, None where there is none."""
        places = [str(self.directory)] if self.directory else []
        return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))

    def interpreter_with(self, module: str) -> str | None:
        """Return a Python that can import a module, None where there is none."""
        python = self.find("python3") or self.find("python")
        return python if python and imports(python, module) else None


@cache
def imports(python: str, module: str) -> bool:
    """Whether an interpreter finds a module."""
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


def version(program: str) -> str:
    """Return the first line of what a program says about its version."""
    option = VERSION_OPTIONS.get(os.path.basename(program), "--version")
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return lines[0].strip() if lines else "unknown"
