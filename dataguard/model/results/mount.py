"""Result of `mount`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass
from dataguard.model.mount import BACKEND_SENTENCES, FETCHED_SENTENCE, is_fetched

if TYPE_CHECKING:
    from dataguard.model.finding import Finding
    from dataguard.model.mount import Backend, Guarantee, ProbeStep

__all__ = ["MountReport", "MountResult"]


@dataclass(frozen=True, slots=True)
class MountResult:
    """What `mount` did for one version.

    `created` is false where it was mounted already, and in a dry run. With `findings` the mount
    was taken down again. `weaker_because` says why no stronger backend was taken, or is None.
    `pinned`: whether the objects of a bucket are held by their versions; None for files.
    """

    name: str
    dataset: str
    version: int
    root: str
    source: str
    target: str
    backend: Backend
    guarantee: Guarantee
    probe: tuple[ProbeStep, ...]
    created: bool
    step: str
    findings: tuple[Finding, ...] = ()
    weaker_because: str | None = None
    pinned: bool | None = None

    @property
    def sentence(self) -> str:
        """What can be relied on; nothing where findings are why the mount was taken down."""
        if self.findings:
            return "nothing: it was not mounted"
        if is_fetched(self.backend, self.source):
            return FETCHED_SENTENCE
        return BACKEND_SENTENCES[self.backend]


@dataclass(frozen=True, slots=True)
class MountReport:
    """What one `mount` command did in a workspace; `step` of each result says what was planned."""

    workspace: str
    mounts: tuple[MountResult, ...]
    dry_run: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of all mounts, in their order."""
        return tuple(finding for result in self.mounts for finding in result.findings)
