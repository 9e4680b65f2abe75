"""What is told of the process behind a write: evidence, and the jobs its control group names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataguard.core.secretwords import words_without_secrets

if TYPE_CHECKING:
    from dataguard.model.watch import Writer

__all__ = ["UNKNOWN", "container_of", "slurm_job_of", "writer_evidence"]

UNKNOWN = "unknown"

_SLURM = re.compile(
    r"(?:^|/)slurm(?:stepd\.scope|_[^/]*)?/(?:uid_\d+/)?(?:[^/]+/)?job_(\d+)(?:/|$)"
)
_CONTAINER = re.compile(
    r"(?:^|/)(?:docker|kubepods|libpod|crio|cri-containerd|containerd|lxc|machine\.slice)"
    r"[^\n]*?([0-9a-f]{64})"
)
_SCOPE = re.compile(r"(?:docker|libpod|crio|cri-containerd)-([0-9a-f]{64})\.scope")


def slurm_job_of(cgroup: str) -> str | None:
    """Return the job id in a control group that Slurm made, in either version of cgroups."""
    found = _SLURM.search(cgroup)
    return None if found is None else found[1]


def container_of(cgroup: str) -> str | None:
    """Return the id of the container that a control group is of, or None."""
    found = _SCOPE.search(cgroup) or _CONTAINER.search(cgroup)
    return None if found is None else found[1]


def writer_evidence(
    writer: Writer | None, *, user: str | None = None, run: str | None = None
) -> dict[str, object]:
    """Return who wrote, every field of it: `unknown` where that is not known."""
    if writer is None:
        names = ("pid", "uid", "user", "executable", "command", "cgroup")
        return dict.fromkeys((*names, "run", "slurm_job", "container"), UNKNOWN)
    found: dict[str, object | None] = {
        "pid": writer.pid,
        "uid": writer.uid,
        "user": user,
        "executable": writer.executable or None,
        "command": list(words_without_secrets(writer.command)) or None,
        "cgroup": writer.cgroup or None,
        "run": run,
        "slurm_job": slurm_job_of(writer.cgroup),
        "container": container_of(writer.cgroup),
    }
    return {name: UNKNOWN if value is None else _utf8(value) for name, value in found.items()}


def _utf8(value: object) -> object:
    """Show bytes that are not UTF-8 as JSON can hold them."""
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case list():
            return [_utf8(item) for item in value]
        case _:
            return value
