"""Programs that have a job done elsewhere, where nothing that confines this process holds."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from dataguard.core.shellwords import script_of, simple_commands
from dataguard.model.dataclass import dataclass

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
    "sudo": (
        (
            *("-u", "-g", "-h", "-p", "-C", "-r", "-t", "-T", "-U", "-D", "-R", "--user"),
            *("--group", "--host", "--prompt", "--close-from", "--role", "--type", "--chdir"),
            *("--command-timeout", "--other-user", "--chroot"),
        ),
        0,
    ),
    "doas": (("-u", "-C"), 0),
    "xargs": (
        (
            *("-a", "-d", "-E", "-I", "-L", "-n", "-P", "-s", "--arg-file", "--delimiter"),
            *("--max-args", "--max-procs", "--max-chars", "--process-slot-var"),
        ),
        0,
    ),
    "chrt": (("-T", "-P", "-D"), 1),
    "flock": (("-w", "-E", "--wait", "--timeout", "--conflict-exit-code"), 1),
}
"""Options with a value of their own word, and the number of words before the program."""

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash"})
_SPLITS = re.compile(r"-[a-zA-Z]*S|--split-string")


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher, and the form of the command in which dataguard works where the job does."""

    name: str
    form: str


def launcher_of(command: tuple[str, ...]) -> Launcher | None:
    """Return the first launcher that a command starts, or None.

    Seen are wrappers such as `env`, `nice`, `sudo` and `xargs`, and the text of `sh -c`. What the
    text computes is not known, nor what a script or another program starts.
    """
    words = list(command)
    while words:
        name = posixpath.basename(words.pop(0))
        if name in _FORMS:
            return Launcher(name, _FORMS[name].format(name=name))
        if name in _SHELLS:
            return _in_script(script_of(words) or "")
        if name == "eval":
            return _in_script(" ".join(words))
        if name == "command" and words[:1] not in (["-v"], ["-V"]):
            _strip(words, (), 0)
        elif name in _WRAPPERS:
            _strip(words, *_WRAPPERS[name])
        else:
            return None
    return None


def _in_script(script: str) -> Launcher | None:
    found = (launcher_of(tuple(_unassigned(words))) for words in simple_commands(script))
    return next((one for one in found if one is not None), None)


def _unassigned(words: list[str]) -> list[str]:
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words


def _strip(words: list[str], valued: tuple[str, ...], operands: int) -> None:
    """Take a wrapper's options, assignments and operands from the front."""
    while words:
        if words[0] == "--":
            del words[0]
            break
        if words[0].startswith("-") and words[0] != "-":
            _strip_option(words, valued)
        elif _ASSIGNMENT.match(words[0]):
            del words[0]
        else:
            break
    del words[:operands]
    words[:] = _unassigned(words)


def _strip_option(words: list[str], valued: tuple[str, ...]) -> None:
    """Take one word of options, with its value; `env -S` has words in its value."""
    option, separator, value = words.pop(0).partition("=")
    if valued is _WRAPPERS["env"][0] and _SPLITS.match(option):
        split = _SPLITS.match(option)
        attached = option[split.end() :] + separator + value if split else ""
        text = value if option == "--split-string" and separator else attached
        words[:] = [*_split(text or "".join(words[:1])), *words[0 if text else 1 :]]
    elif not separator and _takes_next(option, valued):
        del words[:1]


def _takes_next(option: str, valued: tuple[str, ...]) -> bool:
    """Whether the value of an option is the next word; `-Eu root` is two options."""
    if option.startswith("--"):
        return option in valued
    letters = option[1:]
    first = next((at for at, one in enumerate(letters) if f"-{one}" in valued), None)
    return first == len(letters) - 1


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # env refuses it too
        return []
