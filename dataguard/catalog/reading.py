"""Looking up records: the same questions inside and outside a transaction."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from dataguard.catalog import tables
from dataguard.catalog.codec import decode
from dataguard.catalog.resolving import choose
from dataguard.catalog.statements import Condition, Select, above, differs, is_in, select
from dataguard.core.chain import format_time
from dataguard.errors import CatalogDamagedError, NotFoundError
from dataguard.model.audit import AuditRecord, SliceRecord, slice_prefix
from dataguard.model.dataset import Dataset, Location, LocationState, Tag, Version
from dataguard.model.finding import Finding
from dataguard.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dataguard.catalog.connection import Connection
    from dataguard.model.audit import AuditLevel
    from dataguard.model.canary import CanaryRecord
    from dataguard.model.finding import Code, FindingState
    from dataguard.model.mount import MountRecord
    from dataguard.model.reclaim import ReclaimRecord
    from dataguard.model.reference import Reference
    from dataguard.model.run import RunState
    from dataguard.model.seal import SealRecord
    from dataguard.model.workspace import WorkspaceRecord

__all__ = ["Reader", "Record", "Rows", "fetch"]

T = TypeVar("T")

_PAGE = 10_000

Record = dict[str, object]
Rows = Callable[[Select], list[Record]]
"""Runs a query and gives its rows by column name."""


class Reader:
    """Every question about records; answers are sorted tuples of model values."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def catalog_id(self) -> str:
        """Return the name this catalog was born with; copies and rebuilds keep it."""
        rows = self._rows(select(tables.META, key="catalog"))
        if not rows:
            raise CatalogDamagedError(
                "the catalog has no id", hint="`dataguard catalog rebuild` makes it from its events"
            )
        return str(rows[0]["value"])

    def datasets(self) -> tuple[Dataset, ...]:
        """Return all datasets by name."""
        return self._all(Dataset, select(tables.DATASET).order_by("name"))

    def dataset(self, name: str) -> Dataset:
        """Return a dataset.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self._all(Dataset, select(tables.DATASET, name=name))
        if not found:
            raise NotFoundError(
                f"no dataset `{name}` in the catalog",
                hint="`dataguard list` shows what is registered",
            )
        return found[0]

    def versions(self, dataset: str | None = None) -> tuple[Version, ...]:
        """Return versions by dataset and number; none for a dataset that does not exist."""
        return self._all(
            Version, select(tables.VERSION, dataset=dataset).order_by("dataset", "number")
        )

    def version(self, dataset: str, number: int) -> Version:
        """Return a version.

        Raises:
            NotFoundError: the dataset or the version does not exist.
        """
        found = self._all(Version, select(tables.VERSION, dataset=dataset, number=number))
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
        query = select(tables.LOCATION, dataset=dataset, version=number)
        # "active" sorts before "superseded"
        order = ("state", "-created", "-version", "place")
        return self._all(Location, query.order_by(*order))

    def active_locations(self) -> tuple[Location, ...]:
        """Return every place where gold is expected, by place, then dataset and version."""
        query = select(tables.LOCATION, state=LocationState.ACTIVE)
        return self._all(Location, query.order_by("place", "dataset", "version"))

    def locations_at(self, place: str) -> tuple[Location, ...]:
        """Return the active locations at exactly this place, by dataset, the last arrival first.

        That is the highest version, unless the content of an earlier one came back.
        """
        query = select(tables.LOCATION, state=LocationState.ACTIVE, place=place)
        return self._all(Location, query.order_by("dataset", "-created", "-version"))

    def tags(self, dataset: str) -> tuple[Tag, ...]:
        """Return a dataset's tags by name."""
        return self._all(Tag, select(tables.TAG, dataset=dataset).order_by("name"))

    def tag_history(self, dataset: str, name: str) -> tuple[Tag, ...]:
        """Return where a tag has been, newest first."""
        query = select(tables.TAG_HISTORY, dataset=dataset, name=name)
        return self._all(Tag, query.order_by("-seq"))

    def audits(
        self, dataset: str, number: int, *, level: AuditLevel | None = None
    ) -> tuple[AuditRecord, ...]:
        """Return a version's audits, the one recorded last first."""
        query = select(tables.AUDIT, dataset=dataset, version=number, level=level)
        return self._all(AuditRecord, query.order_by("-seq"))

    def last_audit(
        self, dataset: str, number: int, level: AuditLevel | None = None
    ) -> AuditRecord | None:
        """Return the audit recorded last, None where there is none."""
        query = select(tables.AUDIT, dataset=dataset, version=number, level=level)
        found = self._all(AuditRecord, query.order_by("-seq").limit(1))
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
        named = None if code is None else code.name
        query = select(tables.FINDING, dataset=dataset, version=version, code=named)
        if states is not None:
            query = query.where(is_in("state", [state.value for state in states]))
        return self._all(Finding, query.order_by("dataset", "version", "path", "code"))

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
        query = select(tables.FINDING, dataset=dataset, version=version)
        query = query.where(is_in("state", [state.value for state in states]))
        if seen_from is not None:
            query = query.where(Condition("last_seen", ">=", (format_time(seen_from),)))
        if seen_before is not None:
            query = query.where(Condition("last_seen", "<", (format_time(seen_before),)))
        query = query.order_by("path", "code").limit(_PAGE)
        if last is None:
            return self._all(Finding, query)
        path = b64encode(last.path).decode()
        at_path = query.where(Condition("path", "=", (path,)), above("code", last.code.name))
        found = self._all(Finding, at_path)
        after = query.where(above("path", path)).limit(_PAGE - len(found))
        return (*found, *self._all(Finding, after))

    def slices(self, dataset: str, number: int) -> tuple[SliceRecord, ...]:
        """Return the slices of audits of a version that were not merged yet, by their keys."""
        prefix = slice_prefix(dataset, number)
        # `0` follows `/`, the end of the prefix.
        below = Condition("key", "<", (prefix[:-1] + "0",))
        query = select(tables.META).where(above("key", prefix), below).order_by("key")
        return tuple(decode(SliceRecord, _json(str(row["value"]))) for row in self._rows(query))

    def seal(self, place: str) -> SealRecord | None:
        """Return what is recorded of the seal of exactly this place, None where nothing is."""
        from dataguard.model.seal import SealRecord, seal_key  # noqa: PLC0415  few ask for it

        rows = self._rows(select(tables.META, key=seal_key(place)))
        return decode(SealRecord, _json(str(rows[0]["value"]))) if rows else None

    def seals(self) -> tuple[SealRecord, ...]:
        """Return what is recorded of seals, by place."""
        from dataguard.model.seal import SEAL_PREFIX, SealRecord  # noqa: PLC0415  as above

        # `0` follows `/`, the end of the prefix.
        below = Condition("key", "<", (SEAL_PREFIX[:-1] + "0",))
        rows = self._rows(select(tables.META).where(above("key", SEAL_PREFIX), below))
        found = (decode(SealRecord, _json(str(row["value"]))) for row in rows)
        return tuple(sorted(found, key=lambda one: one.place))

    def canaries(self, place: str) -> tuple[CanaryRecord, ...]:
        """Return what canary writes below exactly this place came to, the last one first."""
        from dataguard.model.canary import CanaryRecord, canary_prefix  # noqa: PLC0415  as above

        prefix = canary_prefix(place)
        # `0` follows `/`, the end of the prefix.
        below = Condition("key", "<", (prefix[:-1] + "0",))
        rows = self._rows(select(tables.META).where(above("key", prefix), below))
        found = (decode(CanaryRecord, _json(str(row["value"]))) for row in rows)
        return tuple(sorted(found, key=lambda one: one.verified, reverse=True))

    def reclaim(self, reclaim_id: str) -> ReclaimRecord:
        """Return what is recorded of a reclaim.

        Raises:
            NotFoundError: there is none with this id.
        """
        from dataguard.model.reclaim import (  # noqa: PLC0415  as above
            RECLAIM_PREFIX,
            ReclaimRecord,
        )

        rows = self._rows(select(tables.META, key=RECLAIM_PREFIX + reclaim_id))
        if not rows:
            raise NotFoundError(
                f"no reclaim `{reclaim_id}`", hint="`dataguard catalog events` lists all"
            )
        return decode(ReclaimRecord, _json(str(rows[0]["value"])))

    def reclaims(self) -> tuple[ReclaimRecord, ...]:
        """Return what is recorded of reclaims, by id, which is by time."""
        from dataguard.model.reclaim import (  # noqa: PLC0415  as above
            RECLAIM_PREFIX,
            ReclaimRecord,
        )

        # `0` follows `/`, the end of the prefix.
        below = Condition("key", "<", (RECLAIM_PREFIX[:-1] + "0",))
        query = select(tables.META).where(above("key", RECLAIM_PREFIX), below).order_by("key")
        return tuple(decode(ReclaimRecord, _json(str(row["value"]))) for row in self._rows(query))

    def finding(self, finding_id: str) -> Finding:
        """Return a finding.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._all(Finding, select(tables.FINDING, id=finding_id))
        if not found:
            raise NotFoundError(
                f"no finding `{finding_id}`", hint="`dataguard findings list` shows all"
            )
        return found[0]

    def findings_by_id(self, ids: Iterable[str]) -> tuple[Finding, ...]:
        """Return those findings of some ids that there are, by id."""
        query = select(tables.FINDING).where(is_in("id", set(ids)))
        return self._all(Finding, query.order_by("id"))

    def count_findings(
        self, dataset: str, version: int, state: FindingState
    ) -> Counter[tuple[str, str]]:
        """Return how many findings of a version are in a state, by code and severity."""
        query = select(tables.FINDING, dataset=dataset, version=version, state=state.value)
        rows = self._rows(query.only("code", "severity"))
        return Counter((str(row["code"]), str(row["severity"])) for row in rows)

    def workspaces(self) -> tuple[WorkspaceRecord, ...]:
        """Return all workspaces by host and directory."""
        from dataguard.model.workspace import WorkspaceRecord  # noqa: PLC0415  as above

        return self._all(WorkspaceRecord, select(tables.WORKSPACE).order_by("host", "directory"))

    def mounts(
        self,
        workspace: str | None = None,
        host: str | None = None,
        *,
        dataset: str | None = None,
        version: int | None = None,
        removed: bool = False,
    ) -> tuple[MountRecord, ...]:
        """Return mounts by workspace, name and host; those that were removed only if asked."""
        from dataguard.model.mount import MountRecord, MountState  # noqa: PLC0415  as above

        query = select(
            tables.MOUNT, workspace=workspace, host=host, dataset=dataset, version=version
        )
        if not removed:
            query = query.where(differs("state", MountState.REMOVED.value))
        return self._all(MountRecord, query.order_by("workspace", "name", "host", "target"))

    def runs(
        self,
        *,
        state: RunState | None = None,
        dataset: str | None = None,
        version: int | None = None,
    ) -> tuple[Run, ...]:
        """Return runs, newest first; with `dataset` those that read it."""
        query = select(tables.RUN, state=state)
        if dataset is not None or version is not None:
            readers = select(tables.RUN_INPUT, dataset=dataset, version=version)
            query = query.where(is_in("id", readers.only("run")))
        return self._all(Run, query.order_by("-started", "-id"))

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._all(Run, select(tables.RUN, id=run_id))
        if not found:
            raise NotFoundError(f"no run `{run_id}`", hint="`dataguard lineage REF` lists runs")
        return found[0]

    def _all(self, kind: type[T], query: Select) -> tuple[T, ...]:
        return tuple(decode(kind, row) for row in self._rows(query))


def fetch(connection: Connection, query: Select) -> list[Record]:
    """Return the rows of a query by column name, as records have them.

    Raises:
        CatalogDamagedError: a row holds what nobody stored.
    """
    asked = query.statement()
    columns = [query.table.column(name) for name in query.columns]
    try:
        return [
            {column.name: column.kind.load(row[column.name]) for column in columns}
            for row in connection.execute(asked.text, asked.parameters)
        ]
    except (TypeError, ValueError) as err:
        raise CatalogDamagedError(
            f"a row of `{query.table.name}` cannot be read: {err}",
            hint="`dataguard catalog check` says what is damaged",
        ) from err


def _json(text: str) -> Record:
    try:
        value = json.loads(text)
    except ValueError as err:
        raise CatalogDamagedError("a record is no JSON in the catalog") from err
    return cast("Record", value)
