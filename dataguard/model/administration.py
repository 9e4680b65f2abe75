"""What `doctor` and the `catalog` commands came to: abilities of a host, the state of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.settings import Setting

__all__ = [
    "Ability",
    "Backup",
    "CatalogCheck",
    "CatalogProblem",
    "Diagnosis",
    "Rebuild",
    "Upgrade",
]


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing this host can do or not: `state` is `ok`, `missing` or `failed`."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Result of `doctor`; `healthy` is False where something failed."""

    healthy: bool
    settings: tuple[Setting, ...]
    policy: str
    policies: tuple[str, ...]
    abilities: tuple[Ability, ...]


@dataclass(frozen=True, slots=True)
class CatalogProblem:
    """One thing that is wrong: `aspect` says with what."""

    aspect: str
    message: str


@dataclass(frozen=True, slots=True)
class CatalogCheck:
    """Result of `catalog check`.

    `orphans` are published files that no record names, left by a crash between publishing and
    recording; `abandoned` are drafts whose writer is gone. `removed` tells whether they were.
    """

    sound: bool
    events: int
    versions: int
    problems: tuple[CatalogProblem, ...]
    orphans: tuple[str, ...]
    abandoned: tuple[str, ...]
    removed: bool


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Result of `catalog rebuild`; `kept` is where the old database is now."""

    events: int
    kept: str | None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """Result of `catalog backup` and `copy`: where it is, with how many manifests and sheets."""

    target: str
    files: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Result of `catalog upgrade`: schema revisions."""

    before: str
    after: str
    dry_run: bool = False
