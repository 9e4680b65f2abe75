"""Something that a process takes for a container: a root and a host name of its own, and marks."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["in_container"]

_PREPARE = """
set -eu
mount --make-rprivate /
echo inside >/proc/sys/kernel/hostname
mount --bind "$ROOT" "$ROOT"
for place in /*; do
    if [ -L "$place" ]; then ln -sfn "$(readlink "$place")" "$ROOT$place"; continue; fi
    [ -d "$place" ] || continue
    mkdir -p "$ROOT$place"
    mount --rbind "$place" "$ROOT$place"
done
: >"$ROOT/.dockerenv"
cd "$ROOT"
"""


def in_container(root: Path, words: tuple[str, ...], *, runtime: str = ""):
    """Run dataguard with some words in a container on an empty directory; return what came of it.

    The container sees all of the host. `runtime` are lines of shell that mount more, below $ROOT,
    as the container's runtime would. Everything ends with the process.
    """
    root.mkdir()
    command = shlex.join([sys.executable, "-m", "dataguard", *words])
    script = f"{_PREPARE}\n{runtime}\nexec chroot . {command}"
    environment = {**os.environ, "ROOT": str(root), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["unshare", "--mount", "--uts", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    return done.returncode, done.stdout, done.stderr
