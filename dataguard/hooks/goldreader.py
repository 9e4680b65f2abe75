"""Entries and bytes behind the paths of `gold://`, with errors as programs that read files know."""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from dataguard.actions.goldversions import GoldVersions
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    DataguardError,
    NotFoundError,
    UsageError,
)
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Kind
from dataguard.model.goldpath import GoldPath
from dataguard.stores.pinnedsource import ChangedGoldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dataguard.actions.goldreplicas import GoldReplica
    from dataguard.actions.goldversions import OpenVersion
    from dataguard.model.dataset import Version
    from dataguard.model.pinned import PinnedEntry
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings
    from dataguard.stores.pinnedsource import PinnedSource
    from dataguard.stores.versiontree import VersionTree

__all__ = ["Found", "GoldReader", "UnrecordedInputWarning", "as_file_error", "in_terms_of_files"]

T = TypeVar("T")

_RUN = "DATAGUARD_RUN_ID"


class UnrecordedInputWarning(UserWarning):
    """A job reads a version that is not among its run's inputs: its record will not tell."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to: `entry` is None for a directory, `link` the link that led there."""

    head: str
    opened: OpenVersion
    path: bytes
    entry: PinnedEntry | None
    link: PinnedEntry | None = None

    @property
    def tree(self) -> VersionTree:
        """The version's entries."""
        return self.opened.replicas[0].tree

    def name(self, path: bytes) -> str:
        """Return the path of `gold://` for one of the version."""
        return f"{self.head}/{os.fsdecode(path)}" if path else self.head


class GoldReader:
    """Looks paths up and reads what they lead to, with `verify` by digest.

    All methods raise:
        FileNotFoundError: there is no such version or path.
        PermissionError: the version is withdrawn, or files may not be read.
        ValueError: a path names no version.
        ChangedGoldError: what is there is not what the version pins.
        OSError: catalog, manifest or location cannot be read.
    """

    def __init__(self, settings: Settings, *, verify: bool, host: str, clock: Clock) -> None:
        self.verify = verify
        run = os.environ.get(_RUN, "")
        self.versions = _versions(settings, host, clock, run)

    def find(self, text: str) -> Found:
        """Return what a path without its scheme leads to, links followed."""
        try:  # as `in_terms_of_files`, which takes as long as opening a file
            found = self._found(text)
        except DataguardError as err:
            raise as_file_error(err, text) from err
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)
        return found

    def look(self, text: str) -> Found | None:
        """Return what a path leads to, None for nothing; what cannot be told is raised."""
        with in_terms_of_files(text):
            try:
                return self._found(text)
            except NotFoundError:
                return None

    def read(self, found: Found) -> bytes:
        """Return the whole content of a file."""
        return self._nearest(found, lambda one, entry: one.bytes.read(entry, verify=self.verify))

    def open(self, found: Found) -> PinnedSource:
        """Open a file."""
        return self._nearest(found, lambda one, entry: one.bytes.open(entry, verify=self.verify))

    def _found(self, text: str) -> Found | None:
        at = text.find("/", text.find("@") + 1)
        head, rest = (text, "") if at < 0 or "@" not in text else (text[:at], text[at + 1 :])
        if "@" not in head:
            GoldPath.parse(text)  # says what is wrong with it
        opened, path = self.versions.open(head), os.fsencode(rest)
        tree = opened.replicas[0].tree
        entry = tree.entry(path) if path else None
        if entry is not None and entry.kind is Kind.FILE:
            return Found(head, opened, path, entry)
        path = path.rstrip(b"/")
        if tree.is_directory(path):
            return Found(head, opened, path, None)
        return self._through_links(Found(head, opened, path, None))

    def _through_links(self, start: Found) -> Found | None:
        """Return what is behind the links on a path that leads to nothing by itself."""
        path, tree = start.tree.followed(start.path), start.tree
        if path is None or path == start.path:
            return None
        entry, link = tree.entry(path), tree.entry(start.path)
        link = link if link is not None and link.kind is Kind.SYMLINK else None
        if entry is not None and entry.kind is Kind.FILE:
            return Found(start.head, start.opened, path, entry, link)
        if tree.is_directory(path):
            return Found(start.head, start.opened, path, None, link)
        return None

    def _nearest(self, found: Found, act: Callable[[GoldReplica, PinnedEntry], T]) -> T:
        """Do something at the nearest place that has what is pinned."""
        if found.entry is None:
            name = found.name(found.path)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        nearest, *others = found.opened.replicas
        try:
            return act(nearest, found.entry)
        except OSError as err:
            name = found.name(found.path)
            said = _said(err, found.opened.version, name)
        for replica in others:
            with in_terms_of_files(name):
                entry = replica.tree.entry(found.path)
            try:
                return act(replica, entry or found.entry)
            except OSError:
                continue  # what the nearest one said is raised
        raise said


@lru_cache(maxsize=8)
def _versions(settings: Settings, host: str, clock: Clock, run: str) -> GoldVersions:
    """Return the versions of this process: file systems of all threads share what is known."""
    return GoldVersions(settings, host=host, clock=clock, run=run, unrecorded=_warn)


def _warn(version: Version, run: str) -> None:
    warnings.warn(
        f"{version.reference} is not among the inputs of run {run}: nothing verifies or records "
        f"that this job reads it; hint: dataguard run --input {version.reference}",
        UnrecordedInputWarning,
        stacklevel=2,
    )


@contextmanager
def in_terms_of_files(path: str) -> Iterator[None]:
    """Raise dataguard's errors as those that programs expect of a file system."""
    try:
        yield
    except DataguardError as err:
        raise as_file_error(err, path) from err


def as_file_error(err: DataguardError, path: str) -> Exception:
    """Return the error that programs expect of a file system in place of one of dataguard's."""
    text = f"{err.message}; hint: {err.hint}" if err.hint else err.message
    match err:
        case UsageError():
            return ValueError(text)
        case NotFoundError():
            number = errno.ENOENT
        case ConflictError():
            number = errno.EACCES
        case CatalogDamagedError():
            number = errno.EIO
        case _:
            number = errno.EHOSTUNREACH
    return OSError(number, text, path)


def _said(err: OSError, version: Version, name: str) -> OSError:
    """Return an error of a place with what to do about it."""
    audit = f"; hint: dataguard audit {version.reference} --level full"
    if isinstance(err, ChangedGoldError):
        return ChangedGoldError(err.errno, f"{err.strerror}: {err.filename}{audit}", name)
    if isinstance(err, FileNotFoundError | NotADirectoryError):
        where = os.fsdecode(err.filename or b"")
        return ChangedGoldError(errno.EIO, f"it is missing: {where}{audit}", name)
    return err
