"""Audits: what was compared with a version's manifest, and how thoroughly."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Unreadable  # noqa: TC001  the catalog's codec reads the hints
from dataguard.model.span import Span

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.actor import Actor

__all__ = ["AuditLevel", "AuditRecord", "Slice", "SliceRecord", "slice_prefix"]

_OTHERS = "2 and 3 ask a store for checksums of its own, which a local tree does not have"

_NUMBERS = {"listing": 0, "quick": 1, "checksums": 2, "full": 4}

_SLICE = r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})"


class AuditLevel(StrEnum):
    """How thoroughly is looked, from the least to the most.

    `listing`: names, sizes and etags that an object store lists. `quick`: the baseline's metadata
    and the content of suspects; of objects the versions that are pinned, and what protects them.
    `checksums`: also the checksums that an object store keeps. `full`: every byte.
    """

    LISTING = "listing"
    QUICK = "quick"
    CHECKSUMS = "checksums"
    FULL = "full"

    @property
    def number(self) -> int:
        """The level among 0 to 4; each holds what those before it do.

        3 is what 4 is, a part at a time.
        """
        return _NUMBERS[self]

    @classmethod
    def of(cls, asked: str) -> AuditLevel:
        """Return the level that a word or a number asks for.

        Raises:
            UsageError: there is no such level.
        """
        if asked in tuple(cls):
            return cls(asked)
        if re.fullmatch("[0-4]", asked, re.ASCII) is None:
            raise UsageError(
                f"no audit level `{asked}`", hint="--level quick, --level full, or 0 to 4"
            )
        return next(one for one in cls if one.number >= int(asked))

    def at(self, *, objects: bool) -> AuditLevel:
        """Return how a place is looked at where this is asked for: never less than that.

        Law: `one.at(objects=x).at(objects=x) == one.at(objects=x)`.
        """
        if objects:
            return self
        return AuditLevel.QUICK if self.number <= AuditLevel.QUICK.number else AuditLevel.FULL

    def note_on(self, asked: str, *, objects: bool = False) -> str:
        """Say what this level is beside the number that was asked for; empty for a word."""
        if asked in tuple(AuditLevel):
            return ""
        if objects and int(asked) == self.number - 1:
            return f"level {asked} is level {self.number} ({self}), a part at a time"
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
        found = re.fullmatch(_SLICE, text)
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
