"""Looking up records: the same questions inside and outside a transaction."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy import Select, and_, or_, select

from dataguard.catalog import tables
from dataguard.catalog.codec import decode
from dataguard.catalog.resolving import choose
from dataguard.core.chain import format_time
from dataguard.errors import CatalogDamagedError, NotFoundError
from dataguard.model.audit import AuditRecord, SliceRecord, slice_prefix
from dataguard.model.dataset import Dataset, Location, LocationState, Tag, Version
from dataguard.model.finding import Finding
from dataguard.model.mount import MountRecord, MountState
from dataguard.model.run import Run
from dataguard.model.workspace import WorkspaceRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from dataguard.model.audit import AuditLevel
    from dataguard.model.finding import Code, FindingState
    from dataguard.model.reference import Reference
    from dataguard.model.run import RunState

__all__ = ["Query", "Reader", "Record", "Rows", "fetch"]

T = TypeVar("T")

_PAGE = 10_000

Query = Select[tuple[object, ...]]
Record = dict[str, object]
Rows = Callable[[Query], list[Record]]
"""Runs a query and gives its rows by column name."""


class Reader:
    """Every question about records; answers are sorted tuples of model values."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def catalog_id(self) -> str:
        """Return the name this catalog was born with; copies and rebuilds keep it."""
        rows = self._rows(_where(tables.META, key="catalog"))
        if not rows:
            raise CatalogDamagedError(
                "the catalog has no id", hint="`dataguard catalog rebuild` makes it from its events"
            )
        return str(rows[0]["value"])

    def datasets(self) -> tuple[Dataset, ...]:
        """Return all datasets by name."""
        return self._all(Dataset, select(tables.DATASET).order_by(tables.DATASET.c.name))

    def dataset(self, name: str) -> Dataset:
        """Return a dataset.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self._all(Dataset, _where(tables.DATASET, name=name))
        if not found:
            raise NotFoundError(
                f"no dataset `{name}` in the catalog",
                hint="`dataguard list` shows what is registered",
            )
        return found[0]

    def versions(self, dataset: str | None = None) -> tuple[Version, ...]:
        """Return versions by dataset and number; none for a dataset that does not exist."""
        order = (tables.VERSION.c.dataset, tables.VERSION.c.number)
        return self._all(Version, _where(tables.VERSION, dataset=dataset).order_by(*order))

    def version(self, dataset: str, number: int) -> Version:
        """Return a version.

        Raises:
            NotFoundError: the dataset or the version does not exist.
        """
        found = self._all(Version, _where(tables.VERSION, dataset=dataset, number=number))
        if found:
            return found[0]
        self.dataset(dataset)
        raise NotFoundError(
            f"no version `{dataset}@{number}`",
            hint=f"`dataguard log {dataset}` shows what there is",
        )

    def resolve(self, reference: Reference) -> Version:
        """Return the version that a reference means now.

        Raises:
            NotFoundError: the dataset or the version does not exist, or none is active.
            UsageError: a root prefix fits several versions.
        """
        self.dataset(reference.dataset)
        return choose(reference, self.versions(reference.dataset), self.tags(reference.dataset))

    def locations(self, dataset: str, number: int | None = None) -> tuple[Location, ...]:
        """Return the locations of a version (or of all), active ones first, newest first."""
        c = tables.LOCATION.c
        query = _where(tables.LOCATION, dataset=dataset, version=number)
        # "active" sorts before "superseded"
        order = (c.state, c.created.desc(), c.version.desc(), c.place)
        return self._all(Location, query.order_by(*order))

    def active_locations(self) -> tuple[Location, ...]:
        """Return every place where gold is expected, by place, then dataset and version."""
        c = tables.LOCATION.c
        query = _where(tables.LOCATION, state=LocationState.ACTIVE)
        return self._all(Location, query.order_by(c.place, c.dataset, c.version))

    def locations_at(self, place: str) -> tuple[Location, ...]:
        """Return the active locations at exactly this place, by dataset, the last arrival first.

        That is the highest version, unless the content of an earlier one came back.
        """
        c = tables.LOCATION.c
        query = _where(tables.LOCATION, state=LocationState.ACTIVE, place=place)
        return self._all(Location, query.order_by(c.dataset, c.created.desc(), c.version.desc()))

    def tags(self, dataset: str) -> tuple[Tag, ...]:
        """Return a dataset's tags by name."""
        return self._all(Tag, _where(tables.TAG, dataset=dataset).order_by(tables.TAG.c.name))

    def tag_history(self, dataset: str, name: str) -> tuple[Tag, ...]:
        """Return where a tag has been, newest first."""
        query = _where(tables.TAG_HISTORY, dataset=dataset, name=name)
        return self._all(Tag, query.order_by(tables.TAG_HISTORY.c.seq.desc()))

    def audits(
        self, dataset: str, number: int, *, level: AuditLevel | None = None
    ) -> tuple[AuditRecord, ...]:
        """Return a version's audits, the one recorded last first."""
        query = _where(tables.AUDIT, dataset=dataset, version=number, level=level)
        return self._all(AuditRecord, query.order_by(tables.AUDIT.c.seq.desc()))

    def last_audit(
        self, dataset: str, number: int, level: AuditLevel | None = None
    ) -> AuditRecord | None:
        """Return the audit recorded last, None where there is none."""
        query = _where(tables.AUDIT, dataset=dataset, version=number, level=level)
        found = self._all(AuditRecord, query.order_by(tables.AUDIT.c.seq.desc()).limit(1))
        return found[0] if found else None

    def findings(
        self,
        *,
        dataset: str | None = None,
        version: int | None = None,
        states: Iterable[FindingState] | None = None,
        code: Code | None = None,
    ) -> tuple[Finding, ...]:
        """Return findings by dataset, version, path and code."""
        c = tables.FINDING.c
        named = None if code is None else code.name
        query = _where(tables.FINDING, dataset=dataset, version=version, code=named)
        if states is not None:
            query = query.where(c.state.in_([state.value for state in states]))
        return self._all(Finding, query.order_by(c.dataset, c.version, c.path, c.code))

    def findings_after(
        self,
        dataset: str,
        version: int,
        last: Finding | None,
        *,
        states: Iterable[FindingState],
        seen_from: datetime | None = None,
        seen_before: datetime | None = None,
    ) -> tuple[Finding, ...]:
        """Return the next findings of a version after one, by path and code; none at the end.

        That is a page of 10,000 at most. The last sighting lies in the times that are given.
        """
        c = tables.FINDING.c
        query = _where(tables.FINDING, dataset=dataset, version=version)
        query = query.where(c.state.in_([state.value for state in states]))
        if seen_from is not None:
            query = query.where(c.last_seen >= format_time(seen_from))
        if seen_before is not None:
            query = query.where(c.last_seen < format_time(seen_before))
        if last is not None:
            path = b64encode(last.path).decode()
            below = and_(c.path == path, c.code > last.code.name)
            query = query.where(or_(c.path > path, below))
        return self._all(Finding, query.order_by(c.path, c.code).limit(_PAGE))

    def slices(self, dataset: str, number: int) -> tuple[SliceRecord, ...]:
        """Return the slices of audits of a version that were not merged yet, by their keys."""
        prefix = slice_prefix(dataset, number)
        c = tables.META.c
        # `0` follows `/`, the end of the prefix.
        query = select(tables.META).where(c.key > prefix, c.key < prefix[:-1] + "0")
        rows = self._rows(query.order_by(c.key))
        return tuple(decode(SliceRecord, _json(str(row["value"]))) for row in rows)

    def finding(self, finding_id: str) -> Finding:
        """Return a finding.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._all(Finding, _where(tables.FINDING, id=finding_id))
        if not found:
            raise NotFoundError(
                f"no finding `{finding_id}`", hint="`dataguard findings list` shows all"
            )
        return found[0]

    def workspaces(self) -> tuple[WorkspaceRecord, ...]:
        """Return all workspaces by host and directory."""
        c = tables.WORKSPACE.c
        return self._all(WorkspaceRecord, select(tables.WORKSPACE).order_by(c.host, c.directory))

    def mounts(
        self, workspace: str | None = None, host: str | None = None, *, removed: bool = False
    ) -> tuple[MountRecord, ...]:
        """Return mounts by workspace, name and host; those that were removed only if asked."""
        c = tables.MOUNT.c
        query = _where(tables.MOUNT, workspace=workspace, host=host)
        if not removed:
            query = query.where(c.state != MountState.REMOVED.value)
        return self._all(MountRecord, query.order_by(c.workspace, c.name, c.host, c.target))

    def runs(
        self,
        *,
        state: RunState | None = None,
        dataset: str | None = None,
        version: int | None = None,
    ) -> tuple[Run, ...]:
        """Return runs, newest first; with `dataset` those that read it."""
        c = tables.RUN.c
        query = _where(tables.RUN, state=state)
        if dataset is not None or version is not None:
            readers = _where(tables.RUN_INPUT, dataset=dataset, version=version)
            query = query.where(c.id.in_(readers.with_only_columns(tables.RUN_INPUT.c.run)))
        return self._all(Run, query.order_by(c.started.desc(), c.id.desc()))

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._all(Run, _where(tables.RUN, id=run_id))
        if not found:
            raise NotFoundError(f"no run `{run_id}`", hint="`dataguard lineage REF` lists runs")
        return found[0]

    def _all(self, kind: type[T], query: Query) -> tuple[T, ...]:
        return tuple(decode(kind, row) for row in self._rows(query))


def fetch(connection: Connection, query: Query) -> list[Record]:
    """Return the rows of a query by column name."""
    return [row._asdict() for row in connection.execute(query)]


def _json(text: str) -> Record:
    try:
        value = json.loads(text)
    except ValueError as err:
        raise CatalogDamagedError("a slice of an audit is no JSON in the catalog") from err
    return cast("Record", value)


def _where(table: Table, **values: object) -> Query:
    """Select the rows that have these values; None means any."""
    query = select(table)
    for name, value in values.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    return query
