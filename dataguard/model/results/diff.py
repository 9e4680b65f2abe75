"""Result of `diff`, and its lines."""

from __future__ import annotations

from dataguard.model.dataclass import dataclass

__all__ = ["ChangedEntry", "DiffEntry", "DiffResult", "RenamedEntry"]


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """A path that only one side has."""

    path: bytes
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class ChangedEntry:
    """A path whose kind or content differs."""

    path: bytes
    kind: str
    size: int
    previous_kind: str
    previous_size: int


@dataclass(frozen=True, slots=True)
class RenamedEntry:
    """The same content under another path; `previous_path` is the old one."""

    path: bytes
    previous_path: bytes
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class DiffResult:
    """Result of `diff`, each list in path order."""

    left: str
    right: str
    added: tuple[DiffEntry, ...]
    removed: tuple[DiffEntry, ...]
    changed: tuple[ChangedEntry, ...]
    renamed: tuple[RenamedEntry, ...]
