"""Watched places in buckets: whole comparisons by listing, and keys of which an event spoke."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from dataguard.actions.bucketlook import BucketLook
from dataguard.actions.findings import finding_of
from dataguard.actions.judgement import Judgement
from dataguard.actions.reconcile import Reconciled
from dataguard.actions.recording import BATCH
from dataguard.core.principals import principal_evidence
from dataguard.core.verdicts import Difference
from dataguard.errors import (
    CatalogDamagedError,
    ConflictError,
    DeniedError,
    NotFoundError,
    StoreUnreachableError,
    UsageError,
)
from dataguard.model.dataclass import dataclass
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dataguard.actions.context import Context
    from dataguard.actions.watched import OpenAreas, Watched
    from dataguard.core.suspects import Suspect
    from dataguard.model.finding import Finding

__all__ = ["BucketJudge", "reconcile_bucket"]


def reconcile_bucket(
    ctx: Context,
    watched: Watched,
    areas: OpenAreas,
    each: Callable[[Sequence[Finding]], None],
    *,
    timer: Callable[[], float],
) -> Reconciled:
    """Give `each` all findings of a place in a bucket in batches; records nothing, reads nothing.

    A listing that was denied, or has no end, leaves the place unchecked.
    """
    began, started = timer(), ctx.clock()
    found = _Found(ctx, watched, areas, each)
    try:
        _look(found)
        found.give()
    except CatalogDamagedError as err:
        found.damage = f"{watched.version.reference}: {err.message}"
        found.fail(Obstacle.IO_ERROR, found.damage)
    return Reconciled(
        watched=watched,
        started=started,
        duration_s=timer() - began,
        checked_files=found.listed,
        checked_bytes=0,
        unreadable=tuple(found.unreadable),
        standing=frozenset(found.standing),
        damage=found.damage,
    )


def _look(found: _Found) -> None:
    """Look at everything; what was found before the server failed stays found.

    Raises:
        CatalogDamagedError: manifest or sheet cannot be trusted.
    """
    try:
        look = BucketLook(found.ctx, found.watched.version, found.watched.location)
        for difference in look.all():
            found.add(difference)
        found.listed = look.listed
    except NotFoundError as err:
        found.fail(Obstacle.VANISHED, err.message)
        found.add(_gone(err.message))
    except DeniedError as err:
        found.fail(Obstacle.DENIED, err.message)
    except (StoreUnreachableError, ConflictError, UsageError) as err:
        found.fail(Obstacle.IO_ERROR, err.message)


def _gone(message: str) -> Difference:
    evidence = {"change": "deleted", "finding": Code.DG102.name}
    return Difference(Code.DG301, b"", f"the location is gone: {message}", evidence)


@dataclass(slots=True)
class _Found:
    """What a comparison came to so far; the manifest is verified before anything is told."""

    ctx: Context
    watched: Watched
    areas: OpenAreas
    each: Callable[[Sequence[Finding]], None]
    standing: set[str] = field(default_factory=set)
    unreadable: list[Unreadable] = field(default_factory=list)
    damage: str = ""
    listed: int = 0
    _batch: list[Finding] = field(default_factory=list)
    _trusted: bool = False

    def add(self, difference: Difference) -> None:
        place, version = self.watched.location.place, self.watched.version
        if self.areas.holds(place, difference.path):
            return
        told = replace(difference, evidence={**difference.evidence, **principal_evidence(None)})
        now = self.ctx.clock()
        one = finding_of(self.ctx, told, version.dataset, version.number, now)
        self.standing.update(_ids(one))
        self._batch.append(one)
        if len(self._batch) == BATCH:
            self.give()

    def give(self) -> None:
        """Hand on what was found since the last time."""
        version = self.watched.version
        if self._batch and not self._trusted:
            self.ctx.manifests.verify(version.root, version.algorithm)
            self._trusted = True
        batch, self._batch = self._batch, []
        if batch:
            self.each(batch)

    def fail(self, obstacle: Obstacle, message: str) -> None:
        """Take note of what keeps the place from being compared."""
        self.unreadable.append(Unreadable(b"", obstacle, message))


def _ids(one: Finding) -> set[str]:
    """Return the ids of a write, and of what an audit would call it."""
    also = Code[str(one.evidence["finding"])]
    return {
        fingerprint(code, one.dataset, one.version, one.path)
        for code in (one.code, also, *_CONTENT)
    }


_CONTENT = (Code.DG101, Code.DG102, Code.DG103)


class BucketJudge:
    """Knows one version at one place in a bucket; asks no catalog."""

    def __init__(self, ctx: Context, watched: Watched) -> None:
        """Ask for nothing yet.

        Raises:
            UsageError: as `BucketLook`.
        """
        self._ctx, self.watched = ctx, watched
        self._look = BucketLook(ctx, watched.version, watched.location)

    def judge(
        self, suspects: Sequence[Suspect], people: Mapping[bytes, tuple[str | None, str | None]]
    ) -> Iterator[Judgement]:
        """Yield what differs at the keys of which events spoke; `people` are of other places.

        Raises:
            CatalogDamagedError: as `BucketLook`.
            NotFoundError: as `BucketLook`.
            StoreUnreachableError: as `BucketLook`.
        """
        del people
        time = self._ctx.clock()
        by_path = {self.watched.relative(one.path): one for one in suspects}
        paths = sorted(path for path in by_path if path)
        found = {one.path: self._finding(one, by_path[one.path]) for one in self._look.at(paths)}
        fine = tuple(path for path in paths if path not in found)
        events = sum(one.events for one in suspects)
        yield Judgement(self.watched, time, tuple(found.values()), fine, events)

    def _finding(self, difference: Difference, suspect: Suspect) -> Finding:
        version, writer = self.watched.version, suspect.writer
        made = difference.evidence.get("observed_version")
        if writer is not None and writer.object_version not in ("", made):
            writer = None  # that was another write
        evidence = {**difference.evidence, **principal_evidence(writer)}
        told = replace(difference, evidence=evidence)
        return finding_of(self._ctx, told, version.dataset, version.number, self._ctx.clock())
