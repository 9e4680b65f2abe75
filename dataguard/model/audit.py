"""Audits: what was compared with a version's manifest, and how thoroughly."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.errors import UsageError
from dataguard.model.entry import Unreadable  # noqa: TC001  the catalog's codec reads the hints
from dataguard.model.span import Span

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor

__all__ = ["AuditLevel", "AuditRecord", "Slice", "SliceRecord", "slice_prefix"]

_OTHERS = "2 and 3 ask a store for checksums of its own, which a local tree does not have"

_SLICE = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", re.ASCII)


class AuditLevel(StrEnum):
    """`quick`: the baseline's metadata and the content of suspects; `full`: every byte."""

    QUICK = "quick"
    FULL = "full"

    @property
    def number(self) -> int:
        """The level among 0 to 4, as it is on object stores too: 1 holds what 0 does."""
        return 1 if self is AuditLevel.QUICK else 4

    @classmethod
    def of(cls, asked: str) -> AuditLevel:
        """Return how a local tree is audited where `quick`, `full` or a number is asked for.

        It is never less than what was asked: see `note_on`.

        Raises:
            UsageError: there is no such level.
        """
        if asked in tuple(cls):
            return cls(asked)
        if re.fullmatch("[0-4]", asked, re.ASCII) is None:
            raise UsageError(
                f"no audit level `{asked}`", hint="--level quick, --level full, or 0 to 4"
            )
        return cls.QUICK if int(asked) <= cls.QUICK.number else cls.FULL

    def note_on(self, asked: str) -> str:
        """Say what this level is beside the number that was asked for; empty for a word."""
        if asked in tuple(AuditLevel):
            return ""
        if int(asked) == self.number:
            return f"level {asked} is {self}"
        done = f"level {asked} was asked, level {self.number} ({self}) was done"
        return f"{done}: {_OTHERS}" if self is AuditLevel.FULL else f"{done}, which has all of it"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit of one version at one location.

    `clean` means complete and without a finding of severity `error` or worse.
    """

    dataset: str
    version: int
    location: str
    level: AuditLevel
    started: datetime
    finished: datetime
    complete: bool
    clean: bool
    checked_files: int
    checked_bytes: int
    findings: int
    unreadable: int
    actor: Actor


@dataclass(frozen=True, slots=True)
class Slice:
    """One of `count` parts of an audit, numbered from 1; `Slice.parse(str(s)) == s`."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read `3/64`.

        Raises:
            UsageError: the text is no such thing, or the parts are fewer.
        """
        found = _SLICE.fullmatch(text)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError(
                f"`{text}` is no slice",
                hint="write I/T, from 1/T to T/T: --slice 1/64 is the first of 64",
            )
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """One slice of an audit that was looked at, kept until all are merged into an `AuditRecord`.

    The slice has the paths after `after` up to `through`. `gaps` are the first of what could not
    be checked, `unreadable` counts all of it.
    """

    dataset: str
    version: int
    location: str
    level: AuditLevel
    index: int
    count: int
    after: bytes
    through: bytes | None
    started: datetime
    finished: datetime
    complete: bool
    clean: bool
    baseline: bool
    checked_files: int
    checked_bytes: int
    findings: int
    unreadable: int
    gaps: tuple[Unreadable, ...]
    actor: Actor

    @property
    def span(self) -> Span:
        """The paths that were looked at."""
        return Span(self.after, self.through)

    @property
    def key(self) -> str:
        """The name under which the newest record of this slice is kept."""
        place = hashlib.sha256(self.location.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return (
            f"{slice_prefix(self.dataset, self.version)}"
            f"{self.level}/{self.count}/{self.index}/{place}"
        )


def slice_prefix(dataset: str, version: int) -> str:
    """Return what the names of all slices of a version begin with; it ends with `/`."""
    return f"slice/{dataset}/{version}/"
