"""Programs that have a job done elsewhere, where nothing that confines this process holds."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Launcher", "launcher_of"]

_SCHEDULED = "start dataguard in each task: {name} dataguard run -- CMD"
_SCRIPTED = "put `dataguard run -- CMD` into the job script"
_INSIDE = "run dataguard inside, or mount gold read-only there: {name} ... dataguard run -- CMD"
_FORMS: Mapping[str, str] = {
    **dict.fromkeys(("srun", "mpirun", "mpiexec", "orterun", "prun", "aprun", "jsrun"), _SCHEDULED),
    **dict.fromkeys(("sbatch", "qsub", "bsub", "condor_submit", "at", "batch"), _SCRIPTED),
    "salloc": "salloc srun dataguard run -- CMD",
    **dict.fromkeys(("docker", "podman", "nerdctl", "kubectl", "oc"), _INSIDE),
    **dict.fromkeys(("ssh", "rsh", "pdsh"), "{name} HOST dataguard run -- CMD"),
    "ray": "ray job submit -- dataguard run -- CMD",
    "systemd-run": "dataguard run -- CMD, or put that into the unit",
}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_WRAPPERS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "env": (("-u", "--unset", "-C", "--chdir"), 0),
    "nice": (("-n", "--adjustment"), 0),
    "ionice": (("-c", "--class", "-n", "--classdata"), 0),
    "nohup": ((), 0),
    "setsid": ((), 0),
    "time": (("-f", "--format", "-o", "--output"), 0),
    "timeout": (("-k", "--kill-after", "-s", "--signal"), 1),
    "stdbuf": (("-i", "-o", "-e", "--input", "--output", "--error"), 0),
    "numactl": (
        (
            *("-i", "-N", "-C", "-m", "-p", "--interleave", "--cpunodebind", "--physcpubind"),
            *("--membind", "--preferred"),
        ),
        0,
    ),
    "taskset": ((), 1),
}
"""Options with a value of their own word, and the number of words before the program."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher, and the form of the command in which dataguard works where the job does."""

    name: str
    form: str


def launcher_of(command: tuple[str, ...]) -> Launcher | None:
    """Return the launcher that a command starts with, or None.

    Wrappers such as `env`, `nice` and `timeout` are looked through; what a shell or a script
    starts is not known before.
    """
    words = list(command)
    while words:
        name = posixpath.basename(words.pop(0))
        if name in _FORMS:
            return Launcher(name, _FORMS[name].format(name=name))
        if name not in _WRAPPERS:
            return None
        _strip(words, *_WRAPPERS[name])
    return None


def _strip(words: list[str], valued: tuple[str, ...], operands: int) -> None:
    """Take a wrapper's options, assignments and operands from the front."""
    while words:
        if words[0] == "--":
            del words[0]
            break
        if words[0].startswith("-") and words[0] != "-":
            del words[: 2 if words[0] in valued else 1]
        elif _ASSIGNMENT.match(words[0]):
            del words[0]
        else:
            break
    del words[:operands]
    while words and _ASSIGNMENT.match(words[0]):
        del words[0]
