"""Which revision of the code a job ran, if git knows."""

from __future__ import annotations

import shutil
import subprocess

__all__ = ["code_revision"]

_TIMEOUT_S = 5


def code_revision(directory: str) -> str | None:
    """Return the commit checked out in a directory, with `+dirty` where files differ from it.

    None where the directory is in no git repository, git is not installed or does not answer.
    """
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+dirty" if changes else commit


def _git(directory: str, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "-C", directory, *arguments],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
