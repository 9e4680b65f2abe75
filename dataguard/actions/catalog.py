"""`catalog`: check, rebuild, back up and copy the records; list events; upgrade the schema."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

from dataguard.catalog import checking, maintenance
from dataguard.catalog.address import database_path
from dataguard.catalog.database import Database
from dataguard.catalog.eventlog import EventLog
from dataguard.catalog.repository import Catalog
from dataguard.catalog.schema import check_schema, revision_of
from dataguard.catalog.tables import REVISIONS
from dataguard.catalog.upgrade import upgrade as upgrade_schema
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    NotFoundError,
    StoreUnreachableError,
)
from dataguard.model.administration import Backup, CatalogCheck, CatalogProblem, Rebuild, Upgrade
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import RootDigest
from dataguard.stores.chunksheets import chunk_sheets
from dataguard.stores.manifests import ManifestStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.catalog.checking import CatalogReport
    from dataguard.core.chain import Event
    from dataguard.model.actor import Actor
    from dataguard.model.ports import Clock

__all__ = [
    "Place",
    "backup",
    "check",
    "copy",
    "events",
    "is_there",
    "rebuild",
    "upgrade",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a catalog and what belongs to it are."""

    url: str
    home: str

    @property
    def events(self) -> str:
        """The directory of the event log."""
        return os.path.join(self.home, "events")


def check(place: Place, *, apply: bool = False) -> CatalogCheck:
    """Check database, event log, manifests and sheets against one another.

    With `apply` drafts of dead writers and orphans are removed; they hold no record.

    Raises:
        NotFoundError: there is no catalog.
        CatalogDamagedError: the database cannot be opened.
    """
    _need_folder(place)
    manifests = ManifestStore(place.home)
    if not apply:
        return _checked(place, manifests, remove=False)
    # What is published and not recorded yet looks like an orphan: look while nobody publishes.
    with manifests.alone() as alone:
        return _checked(place, manifests, remove=alone)


def _checked(place: Place, manifests: ManifestStore, *, remove: bool) -> CatalogCheck:
    report = checking.check(place.url, events=place.events)
    problems = [CatalogProblem(str(p.aspect), p.message) for p in report.problems]
    problems += _damaged_files(report, manifests)
    orphans = tuple(sorted(set(manifests.published()) - _known_files(report, manifests)))
    abandoned = tuple(manifests.abandoned())
    remove = remove and report.sound
    if remove:
        for path in (*orphans, *abandoned):
            manifests.remove(path)
    return CatalogCheck(
        sound=not problems,
        events=report.events,
        versions=len(report.versions),
        problems=tuple(problems),
        orphans=orphans,
        abandoned=abandoned,
        removed=remove,
    )


def rebuild(place: Place, clock: Clock, *, dry_run: bool = False) -> Rebuild:
    """Make the database anew from the event log; the old one is kept.

    With `dry_run` the log is checked only.

    Raises:
        CatalogDamagedError: the log's chain is broken.
        NotFoundError: there are no events.
    """
    _need_folder(place)
    if dry_run:
        return Rebuild(_replayable(place), None, dry_run=True)
    done = maintenance.rebuild(place.url, events=place.events, now=clock())
    return Rebuild(done.events, done.kept)


def backup(place: Place, target: str, *, dry_run: bool = False) -> Backup:
    """Write records, events, manifests and sheets to one tar file, as of one moment.

    Unpacked into an empty home it is the catalog again.

    Raises:
        ConflictError: the target exists.
        NotFoundError: there is no catalog.
        StoreUnreachableError: it cannot be written.
    """
    target = os.path.abspath(target)
    _refuse_existing(target)
    if dry_run:
        return _planned(place, target)
    _need_folder(place)
    part = f"{target}.part"
    try:
        with tempfile.TemporaryDirectory(prefix="dataguard-backup-") as scratch:
            snapshot = os.path.join(scratch, "catalog.db")
            # Files are published before they are recorded: what the snapshot names is there.
            maintenance.backup(place.url, snapshot)
            with open(part, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as archive:
                archive.add(snapshot, "catalog.db")
                count = 0
                for path in ManifestStore(place.home).published():
                    archive.add(path, os.path.relpath(path, place.home))
                    count += 1
                archive.close()
                raw.flush()
                os.fsync(raw.fileno())
        os.rename(part, target)
    except OSError as err:
        raise StoreUnreachableError(f"cannot write {target}: {err.strerror or err}") from err
    return Backup(target, count)


def copy(place: Place, home: str, *, dry_run: bool = False) -> Backup:
    """Copy the whole catalog to another home, for a second host or a second place.

    Raises:
        ConflictError: the home has a catalog.
        NotFoundError: there is no catalog.
        StoreUnreachableError: it cannot be written.
    """
    home = os.path.abspath(home)
    _refuse_existing(os.path.join(home, "catalog.db"))
    if dry_run:
        return _planned(place, home)
    _need_folder(place)
    try:
        os.makedirs(home, exist_ok=True)
        count = sum(
            1 for path in ManifestStore(place.home).published() if _copied(path, place, home)
        )
    except OSError as err:
        raise StoreUnreachableError(f"cannot write to {home}: {err.strerror or err}") from err
    # The records come last: what they name is there.
    maintenance.copy(place.url, home)
    count += sum(1 for path in ManifestStore(place.home).published() if _copied(path, place, home))
    return Backup(home, count)


def events(ctx: Context, after: int) -> tuple[Event, ...]:
    """Return the events after a sequence number, oldest first."""
    return tuple(ctx.catalog.events(after))


def upgrade(place: Place, clock: Clock, actor: Actor, *, dry_run: bool = False) -> Upgrade:
    """Bring the schema of an older catalog to this release's.

    Raises:
        CatalogDamagedError: the catalog is newer than this release.
        NotFoundError: there is none.
    """
    _need_folder(place)
    if dry_run:
        return _upgradable(place)
    before, after = upgrade_schema(place.url)
    with Catalog.open(place.url, events=place.events, clock=clock, actor=actor, create=False):
        return Upgrade(before, after)


def is_there(place: Place) -> bool:
    """Whether there is a catalog's database."""
    return os.path.exists(database_path(place.url))


def _need_folder(place: Place) -> None:
    """Say of a home that is not there what is said of an empty one.

    Raises:
        NotFoundError: the folder of the catalog does not exist.
    """
    path = database_path(place.url)
    try:
        os.stat(os.path.dirname(path))
    except FileNotFoundError as err:
        raise NotFoundError(
            f"no catalog at `{path}`", hint="`dataguard catalog init` makes one"
        ) from err
    except OSError:
        return  # opening it says what is wrong


def _planned(place: Place, target: str) -> Backup:
    """Return what a backup or copy would give.

    Raises:
        NotFoundError: there is no catalog.
    """
    _need_folder(place)
    with closing(Database.open(place.url, create=False)):
        return Backup(target, sum(1 for _ in ManifestStore(place.home).published()), dry_run=True)


def _replayable(place: Place) -> int:
    """Return how many events a rebuild would replay, having checked their chain.

    Raises:
        CatalogDamagedError: it is broken.
        NotFoundError: there are none.
    """
    count = sum(1 for _ in EventLog(place.events).verified())
    if not count:
        raise NotFoundError(
            f"the event log `{place.events}` has no events",
            hint="restore the catalog's home from a backup",
        )
    return count


def _upgradable(place: Place) -> Upgrade:
    with closing(Database.open(place.url, create=False)) as database, database.reading() as rows:
        before = revision_of(rows)
        if before not in REVISIONS:
            check_schema(rows)
    return Upgrade(before, REVISIONS[-1], dry_run=True)


def _damaged_files(report: CatalogReport, manifests: ManifestStore) -> Iterator[CatalogProblem]:
    for version in report.versions:
        try:
            manifests.verify(version.root, version.algorithm)
        except CatalogDamagedError as err:
            yield CatalogProblem("manifest", f"{version.reference}: {err.message}")
    for root, of, key in _sheets(report, manifests):
        try:
            manifests.verify_sheet(root, key)
        except CatalogDamagedError as err:
            yield CatalogProblem("sheet", f"{of}: {err.message}")


def _sheets(
    report: CatalogReport, manifests: ManifestStore
) -> Iterator[tuple[RootDigest, str, str]]:
    """Yield root, reference and key of every sheet: those that are named, and those of chunks."""
    roots = {(one.dataset, one.number): one.root for one in report.versions}
    for use in report.sheets:
        yield roots[use.dataset, use.version], f"{use.dataset}@{use.version}", use.key
    for version in report.versions:
        for key in chunk_sheets(manifests, version.root):
            yield version.root, str(version.reference), key


def _known_files(report: CatalogReport, manifests: ManifestStore) -> set[str]:
    known = {manifests.manifest_path(version.root) for version in report.versions}
    known |= {manifests.sheet_path(root, key) for root, _, key in _sheets(report, manifests)}
    for text in report.outputs:
        root = RootDigest.parse(text)
        known |= {manifests.manifest_path(root), *manifests.sheets(root)}
    return known


def _copied(path: str, place: Place, home: str) -> bool:
    target = os.path.join(home, os.path.relpath(path, place.home))
    if os.path.exists(target):
        return False
    os.makedirs(os.path.dirname(target), exist_ok=True)
    part = f"{target}.part"
    shutil.copyfile(path, part)
    os.chmod(part, 0o444)
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    os.rename(part, target)
    return True


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise ConflictError(f"{path} is there already", hint="choose another place")
