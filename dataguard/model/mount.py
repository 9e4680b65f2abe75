"""Mounts of versions in workspaces, their guarantee and the probe that proves it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor

__all__ = [
    "BACKEND_SENTENCES",
    "FETCHED_SENTENCE",
    "GUARANTEE_SENTENCES",
    "Backend",
    "Guarantee",
    "MountRecord",
    "MountState",
    "Probe",
    "ProbeOutcome",
    "ProbeStep",
    "is_fetched",
]


class Backend(StrEnum):
    """How a version is made visible in a workspace."""

    BIND = "bind"
    SYMLINK = "symlink"
    DECLARED = "declared"
    CONTAINER = "container"
    FUSE = "fuse"
    OVERLAY = "overlay"
    CAS = "cas"


class Guarantee(StrEnum):
    """What a mount promises; later members promise more."""

    NONE = "none"
    DECLARED = "declared"
    ENFORCED = "enforced"

    @property
    def rank(self) -> int:
        """Order: none < declared < enforced."""
        return list(Guarantee).index(self)

    def may_be_recorded(self, required: Guarantee) -> bool:
        """Whether a mount with this promise can meet a policy.

        A declared one shows nothing before `run` makes it real, as strong as is required.
        """
        return self is Guarantee.DECLARED or self.rank >= required.rank


GUARANTEE_SENTENCES = {
    Guarantee.ENFORCED: "through this path nobody without CAP_SYS_ADMIN can change the dataset, "
    "root's ordinary writes included; other paths to the same files are not covered",
    Guarantee.DECLARED: "recorded, and mounted read-only for a job inside `run` and `shell` "
    "where the host lets them; outside of them nothing is mounted or enforced",
    Guarantee.NONE: "a symlink: whoever may write the dataset can write through this path",
}


BACKEND_SENTENCES = {
    Backend.BIND: GUARANTEE_SENTENCES[Guarantee.ENFORCED],
    Backend.DECLARED: GUARANTEE_SENTENCES[Guarantee.DECLARED],
    Backend.CONTAINER: "mounted read-only by the container's runtime and checked, not made, here: "
    "through this path nobody in the container without CAP_SYS_ADMIN can change the dataset; other "
    "paths to the same files are not covered",
    Backend.FUSE: "through this path nobody without CAP_SYS_ADMIN can change the dataset, and each "
    "write that permissions would allow is refused and noted with its process; it ends with its "
    "server, and other paths to the same files are not covered",
    Backend.OVERLAY: "through this path nobody without CAP_SYS_ADMIN can change the dataset, "
    "root's ordinary writes included, and the mount names itself; other paths to the same files "
    "are not covered",
    Backend.CAS: "through this path nobody without CAP_SYS_ADMIN can change the dataset, root's "
    "ordinary writes included; what is read are this node's copies, each verified when it was "
    "filled, which root can change",
    Backend.SYMLINK: GUARANTEE_SENTENCES[Guarantee.NONE],
}
"""What a user can rely on, by backend."""


def is_fetched(backend: Backend, source: str) -> bool:
    """Whether a mount shows what lies in an object store by a server that fetches what is read."""
    return backend is Backend.FUSE and "://" in source


FETCHED_SENTENCE = (
    "through this path nobody without CAP_SYS_ADMIN can change the dataset, and each write that "
    "permissions would allow is refused and noted with its process; what is read is fetched by its "
    "pin when it is read, and a file's digest is compared only where all of it is read from its "
    "start to its end; it ends with its server"
)
"""What a user can rely on where `fuse` shows what lies in a bucket."""


class MountState(StrEnum):
    """How far a mount got; `making` and `removing` are found only after a crash."""

    MAKING = "making"
    ACTIVE = "active"
    REMOVING = "removing"
    REMOVED = "removed"


class ProbeOutcome(StrEnum):
    """What an attempt to write came to."""

    REFUSED = "refused"
    ALLOWED = "allowed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One attempt: `detail` names the error of the kernel or why it was skipped."""

    operation: str
    result: ProbeOutcome
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """All attempts of one probe, in the order in which they were made."""

    steps: tuple[ProbeStep, ...]

    @property
    def proves_read_only(self) -> bool:
        """Whether steps were refused and none was allowed or failed.

        Steps that do not apply (a dataset without a regular file) are skipped; a probe that met
        a writable mount holds an allowed one.
        """
        results = {step.result for step in self.steps}
        return ProbeOutcome.REFUSED in results and results <= {
            ProbeOutcome.REFUSED,
            ProbeOutcome.SKIPPED,
        }


@dataclass(frozen=True, slots=True)
class MountRecord:
    """A version made visible in a workspace at `target` (absolute).

    `mount_id`, `root_device`, `root_inode` and `boot_id` tell whether what is mounted now is
    what dataguard mounted; they are None before the mount is made and for other backends.
    """

    workspace: str
    name: str
    dataset: str
    version: int
    source: str
    target: str
    backend: Backend
    guarantee: Guarantee
    state: MountState
    host: str
    created: datetime
    actor: Actor
    probe: Probe | None = None
    mount_id: int | None = None
    root_device: int | None = None
    root_inode: int | None = None
    boot_id: str | None = None
