"""What the shim is ordered to do, and the ways to do it on different hosts."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.confinement import Mode, Step
from dataguard.model.dataclass import dataclass
from dataguard.sandbox.shim.orders import encode_orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.sandbox.inherited import Inherited

__all__ = ["Kind", "Mark", "Plan", "Route", "Rung", "rungs"]

_SYS_ADMIN = 21
_KERNEL_FILES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/sys")

_LAYERS = {
    Step.CHECKED: (),
    Step.LANDLOCK: ("landlock",),
    Step.MOUNTS: ("mounts", "capabilities"),
    Step.FULL: ("mounts", "capabilities", "landlock"),
}


class Kind(StrEnum):
    """What a marked path is: gold, or a place for outputs inside gold."""

    GOLD = "gold"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Mark:
    """A path without links, with device and inode of what is there; None: out of reach."""

    kind: Kind
    path: str
    identity: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Route:
    """An input whose writes are led into a layer, with every path at which the job reads it.

    All are paths without links; the first one is gold itself. `label` names the mount.
    """

    paths: tuple[str, ...]
    upper: str
    work: str
    label: str

    @property
    def gold(self) -> str:
        """The registered path."""
        return self.paths[0]


@dataclass(frozen=True, slots=True)
class Rung:
    """A way to confine: the namespaces that are entered; none leaves Landlock."""

    namespaces: tuple[str, ...]

    @property
    def mounts(self) -> bool:
        """Whether mounts of the job's own can be made."""
        return bool(self.namespaces)

    def __str__(self) -> str:
        return "namespaces " + "+".join(self.namespaces) if self.mounts else "no namespaces"


@dataclass(frozen=True, slots=True)
class Plan:
    """A job and what confines it.

    `shown` are sources and targets of mounts for this job alone. `writable` are places that are
    granted by name: in `strict` nothing else is. Below the `required` step of the ladder the job
    is not started. `routes` are inputs whose writes are led elsewhere, `hidden` paths to their
    layers. With `rehearsal` everything is done but the job. With `listen`
    the kernel's audit is made to name the rules.
    """

    mode: Mode
    marks: tuple[Mark, ...]
    shown: tuple[tuple[str, str], ...]
    writable: tuple[str, ...]
    inherited: Inherited
    directory: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    required: Step = Step.CHECKED
    routes: tuple[Route, ...] = ()
    hidden: tuple[str, ...] = ()
    rehearsal: bool = False
    listen: bool = False

    def encode(self, rung: Rung, *, reports: int, blocked: Iterable[int]) -> bytes:
        """Return the orders for the shim that this process starts."""
        lists: list[tuple[str, tuple[str, ...]]] = [
            ("reports", (str(reports),)),
            ("parent", (str(os.getpid()),)),
            ("mode", (str(self.mode),)),
            ("directory", (self.directory,)),
            *(("namespace", (name,)) for name in rung.namespaces),
            *(("mark", (mark.kind, mark.path, _identity(mark))) for mark in self.marks),
            *(("show", pair) for pair in self.shown if rung.mounts),
            *(("freeze", (path,)) for path in _KERNEL_FILES if "user" not in rung.namespaces),
            *(("route", (one.gold, one.upper, one.work, one.label)) for one in self.routes),
            *(("over", (one.gold, path)) for one in self.routes for path in one.paths[1:]),
            *(("hide", (path,)) for path in self.hidden),
            *(("write", (path,)) for path in self.writable),
            *(("close", (str(number),)) for number in self.inherited.closed),
            *(("reopen", (str(number), path)) for number, path in self.inherited.reopened),
            *(("blocked", (str(int(number)),)) for number in blocked),
            *(("word", (word,)) for word in self.command),
            *(("variable", (f"{key}={value}",)) for key, value in self.environment.items()),
            *(("require", (layer,)) for layer in self._required_layers()),
            *((("rehearse", ("yes",)),) if self.rehearsal else ()),
            *((("listen", ("yes",)),) if self.listen else ()),
        ]
        return encode_orders(
            [(name, tuple(os.fsencode(word) for word in words)) for name, words in lists]
        )

    def _required_layers(self) -> tuple[str, ...]:
        required = (*_LAYERS[self.required], *(("routing",) if self.routes else ()))
        return (*required, "landlock") if self.mode is Mode.STRICT else required


def rungs() -> tuple[Rung, ...]:
    """Return the ways that may work for this process, the strongest first.

    Root of a container often lacks CAP_SYS_ADMIN. A user namespace is no way out for it: there it
    would lose its rights over the files of others.
    """
    alone = Rung(())
    if _may_mount():
        return (Rung(("mount", "pid")), Rung(("mount",)), alone)
    if os.geteuid() == 0:
        return (alone,)
    return (Rung(("user", "mount", "pid")), Rung(("user", "mount")), alone)


def _may_mount() -> bool:
    with open("/proc/self/status", "rb") as lines:
        words = next((line.split() for line in lines if line.startswith(b"CapEff:")), [b"", b"0"])
    return bool(int(words[1], 16) >> _SYS_ADMIN & 1)


def _identity(mark: Mark) -> str:
    return "" if mark.identity is None else f"{mark.identity[0]}:{mark.identity[1]}"
