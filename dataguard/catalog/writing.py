"""The mutating verbs: each decides its records and passes them through one function."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dataguard.catalog import tables
from dataguard.catalog.change import Change, EventKind
from dataguard.catalog.codec import decode, encode
from dataguard.catalog.findings import merge_all
from dataguard.catalog.projection import append, head
from dataguard.catalog.reading import Reader, fetch
from dataguard.catalog.registering import plan_registration
from dataguard.catalog.statements import is_in, select
from dataguard.core.chain import canonical_json, next_event
from dataguard.model.dataset import Location, LocationState, Tag, Version
from dataguard.model.finding import Finding, FindingState
from dataguard.model.reference import check_tag_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dataguard.catalog.change import Allow
    from dataguard.catalog.connection import Connection
    from dataguard.catalog.description import Table
    from dataguard.core.chain import Event
    from dataguard.model.actor import Actor
    from dataguard.model.audit import AuditRecord, SliceRecord
    from dataguard.model.canary import CanaryRecord
    from dataguard.model.dataset import FileSystem, Registration, VersionState
    from dataguard.model.mount import MountRecord
    from dataguard.model.ports import Clock
    from dataguard.model.reclaim import ReclaimRecord
    from dataguard.model.run import Run
    from dataguard.model.seal import SealRecord
    from dataguard.model.workspace import WorkspaceRecord

__all__ = ["FINDINGS_PER_EVENT", "Transaction"]

FINDINGS_PER_EVENT = 1_000

Records = dict["Table", "Sequence[object]"]


class Transaction(Reader):
    """The verbs, inside the write lock; every verb may raise what `allow` raises (PolicyError).

    `events` are those that were made in it.
    """

    def __init__(self, connection: Connection, *, clock: Clock, actor: Actor, allow: Allow) -> None:
        super().__init__(partial(fetch, connection))
        self._connection = connection
        self._clock = clock
        self._actor = actor
        self._allow = allow
        self._head = head(connection)
        self.events: list[Event] = []

    def found_catalog(self, catalog_id: str) -> None:
        """Give a new catalog its name, as its first event."""
        facts = {"catalog": catalog_id, "format": "catalog/1"}
        rows = [{"key": key, "value": value} for key, value in facts.items()]
        self._record(EventKind.CATALOG_CREATED, None, {"put": {tables.META.name: rows}})

    def register(self, registration: Registration) -> tuple[Version, bool]:
        """Record a version, or another sighting of a known one; returns it and whether it is new.

        Nothing is recorded where nothing changed.

        Raises:
            ConflictError: the place holds another active version of the dataset, and neither
                `append` nor `supersede` says what becomes of it.
        """
        plan = plan_registration(
            registration,
            self.versions(registration.dataset),
            self.locations(registration.dataset),
            actor=self._actor,
            now=self._clock(),
        )
        records: Records = {
            tables.DATASET: plan.datasets,
            tables.VERSION: plan.versions,
            tables.LOCATION: plan.locations,
        }
        if any(records.values()):
            facts = {"version": plan.version.number, "reason": registration.reason}
            self._put(EventKind.VERSION_REGISTERED, registration.dataset, records, **facts)
        return plan.version, plan.created

    def add_location(
        self,
        dataset: str,
        number: int,
        place: str,
        sheet: str | None,
        filesystem: FileSystem | None,
    ) -> Location:
        """Record a replica, or a new baseline sheet of a known location.

        Raises:
            NotFoundError: there is no such version.
        """
        self.version(dataset, number)
        known = {one.place: one for one in self.locations(dataset, number)}
        created = known[place].created if place in known else self._clock()
        state = LocationState.ACTIVE
        location = Location(dataset, number, place, state, sheet, filesystem, created)
        if location != known.get(place):
            self._put(EventKind.LOCATION_ADDED, dataset, {tables.LOCATION: [location]})
        return location

    def set_digest_sheet(self, dataset: str, number: int, key: str) -> Version:
        """Record the sheet that holds a version's additional digests.

        Raises:
            NotFoundError: there is no such version.
        """
        version = replace(self.version(dataset, number), digest_sheet=key)
        self._put(EventKind.DIGEST_SHEET_SET, dataset, {tables.VERSION: [version]})
        return version

    def set_state(self, dataset: str, number: int, state: VersionState, reason: str) -> Version:
        """Record whether a version may be used, and why.

        Raises:
            NotFoundError: there is no such version.
        """
        before = self.version(dataset, number)
        now = self._clock()
        version = replace(before, state=state, state_reason=reason, state_since=now)
        records: Records = {tables.VERSION: [version]}
        self._put(EventKind.VERSION_STATE_SET, dataset, records, version=number, reason=reason)
        return version

    def move_tag(self, dataset: str, tag: str, number: int) -> Tag:
        """Let a tag name a version; nothing is recorded where it does already.

        Raises:
            NotFoundError: there is no such version.
            UsageError: the tag is no tag name.
        """
        self.version(dataset, number)
        for known in self.tags(dataset):
            if (known.name, known.version) == (tag, number):
                return known
        moved = Tag(dataset, check_tag_name(tag), number, self._clock())
        self._put(EventKind.TAG_MOVED, dataset, {tables.TAG: [moved], tables.TAG_HISTORY: [moved]})
        return moved

    def record_audit(self, audit: AuditRecord) -> None:
        """Record an audit.

        Raises:
            NotFoundError: there is no such version.
        """
        self.version(audit.dataset, audit.version)
        self._put(EventKind.AUDIT_RECORDED, audit.dataset, {tables.AUDIT: [audit]})

    def record_slice(self, part: SliceRecord) -> None:
        """Record a slice of an audit; replaces what was recorded of the same slice.

        Raises:
            NotFoundError: there is no such version.
        """
        self.version(part.dataset, part.version)
        rows = [{"key": part.key, "value": canonical_json(encode(part)).decode()}]
        payload = {"put": {tables.META.name: rows}, "version": part.version}
        self._record(EventKind.AUDIT_SLICE_RECORDED, part.dataset, payload)

    def forget_slices(self, parts: Sequence[SliceRecord]) -> None:
        """Forget slices of one version, which were merged into an audit; their events stay."""
        keys = [{"key": part.key} for part in parts]
        payload = {"remove": {tables.META.name: keys}, "version": parts[0].version}
        self._record(EventKind.AUDIT_SLICES_MERGED, parts[0].dataset, payload)

    def record_findings(self, findings: Sequence[Finding]) -> None:
        """Record sightings: merged by id with earlier ones, see `findings.merge`."""
        for part in _parts(findings):
            seen = [(one.id, one) for one in part]
            known = self._known_findings(name for name, _ in seen)
            self._put_findings(EventKind.FINDINGS_RECORDED, merge_all(known, seen))

    def set_finding_state(self, finding_id: str, state: FindingState, reason: str) -> Finding:
        """Acknowledge, resolve or open a finding.

        Raises:
            NotFoundError: there is none with this id.
        """
        finding = replace(self.finding(finding_id), state=state)
        self._put_findings(EventKind.FINDING_STATE_SET, {finding.id: finding}, reason=reason)
        return finding

    def resolve_unseen(self, unseen: Sequence[Finding], reason: str) -> None:
        """Resolve findings, unless somebody saw or changed them since they were looked up."""
        for part in _parts(unseen):
            known = self._known_findings(one.id for one in part)
            gone = {one.id: one for one in part if known.get(one.id) == one}
            resolved = {
                name: replace(one, state=FindingState.RESOLVED) for name, one in gone.items()
            }
            if resolved:
                self._put_findings(EventKind.FINDINGS_RESOLVED, resolved, reason=reason)

    def put_workspace(self, record: WorkspaceRecord) -> None:
        """Record a workspace; replaces that of the same directory and host."""
        self._put(EventKind.WORKSPACE_PUT, None, {tables.WORKSPACE: [record]})

    def remove_workspace(self, directory: str, host: str) -> None:
        """Forget a workspace; its events stay."""
        keys = [{"directory": directory, "host": host}]
        self._record(EventKind.WORKSPACE_REMOVED, None, {"remove": {tables.WORKSPACE.name: keys}})

    def put_mount(self, record: MountRecord) -> None:
        """Record a mount; replaces that at the same target of the same host."""
        self._put(EventKind.MOUNT_PUT, record.dataset, {tables.MOUNT: [record]})

    def put_seal(self, record: SealRecord) -> None:
        """Record how far the seal of a place is; replaces what was recorded of it.

        Raises:
            NotFoundError: there is no such version.
        """
        self.version(record.dataset, record.version)
        value = canonical_json(encode(record)).decode()
        rows = [{"key": record.key, "value": value}]
        facts = {"version": record.version, "seal": str(record.kind), "state": str(record.state)}
        payload = {"put": {tables.META.name: rows}, **facts, "reason": record.reason}
        self._record(EventKind.SEAL_PUT, record.dataset, payload)

    def put_canary(self, record: CanaryRecord) -> None:
        """Record what canary writes came to; replaces that of the same place and credential."""
        value = canonical_json(encode(record)).decode()
        facts = {"place": record.place, "state": str(record.state), "caller": record.caller.name}
        payload = {"put": {tables.META.name: [{"key": record.key, "value": value}]}, **facts}
        self._record(EventKind.CANARY_PUT, None, payload)

    def put_reclaim(self, record: ReclaimRecord) -> None:
        """Record how far a reclaim is; replaces what was recorded of it."""
        value = canonical_json(encode(record)).decode()
        facts = {"reclaim": record.id, "state": str(record.state), "bytes": record.reclaimed}
        payload = {"put": {tables.META.name: [{"key": record.key, "value": value}]}, **facts}
        self._record(EventKind.RECLAIM_PUT, record.dataset, payload)

    def put_run(self, run: Run) -> None:
        """Record how far a run got; replaces what was recorded of it."""
        self._put(EventKind.RUN_PUT, None, {tables.RUN: [run]})

    def _known_findings(self, ids: Iterable[str]) -> dict[str, Finding]:
        rows = self._rows(select(tables.FINDING).where(is_in("id", set(ids))))
        return {str(row["id"]): decode(Finding, row) for row in rows}

    def _put_findings(
        self, kind: EventKind, findings: Mapping[str, Finding], **facts: object
    ) -> None:
        datasets = {finding.dataset for finding in findings.values()}
        dataset = datasets.pop() if len(datasets) == 1 else None
        # The id is derived from the others, so it is no field of the value; the table needs it.
        records = [{**encode(finding), "id": name} for name, finding in findings.items()]
        self._record(kind, dataset, {"put": {tables.FINDING.name: records}, **facts})

    def _put(self, kind: EventKind, dataset: str | None, records: Records, **facts: object) -> None:
        put = {
            table.name: [encode(v) for v in values] for table, values in records.items() if values
        }
        self._record(kind, dataset, {"put": put, **facts})

    def _record(self, kind: EventKind, dataset: str | None, payload: Mapping[str, object]) -> None:
        """Ask whether the change is allowed, then append its event and apply it.

        Every mutation comes through here, and nowhere else is a table written.
        """
        complete = payload if dataset is None else {"dataset": dataset, **payload}
        self._allow(Change(kind, dataset, complete))
        event = next_event(
            self._head, time=self._clock(), kind=kind.value, actor=self._actor, payload=complete
        )
        self._head = append(self._connection, event)
        self.events.append(event)


def _parts(findings: Sequence[Finding]) -> Iterator[Sequence[Finding]]:
    for start in range(0, len(findings), FINDINGS_PER_EVENT):
        yield findings[start : start + FINDINGS_PER_EVENT]
