"""Takes in slices of audits that other catalogs recorded, from the reports of their tasks."""

from __future__ import annotations

from base64 import b64decode
from functools import partial
from typing import TYPE_CHECKING, Any

from dataguard.actions.recording import record_findings
from dataguard.core.chain import parse_time
from dataguard.errors import ConflictError, DataguardError, UsageError
from dataguard.model.audit import AuditLevel, SliceRecord
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code, Finding, Severity
from dataguard.stores.reportfile import read_report
from dataguard.stores.sightings import Sightings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.actions.context import Context

__all__ = ["take_in"]

_HINT = "dataguard audit REF --slice 1/8 --report FILE"


def take_in(ctx: Context, paths: Iterable[str]) -> None:
    """Record the slices and findings of reports, as if the tasks had used this catalog.

    What is known already is left alone, so a report may be given again; of two looks at one slice
    the later one counts, in whatever order they are given. However many findings a report has,
    memory holds few of them.

    Raises:
        ConflictError: a report is about a version that has other content here.
        NotFoundError: a report is about a version that this catalog does not have.
        UsageError: a file cannot be read, or is no report of a slice.
    """
    for path in paths:
        findings = Sightings()
        try:
            report = read_report(path, "findings", partial(_keep, findings))
            if report["schema"] != "dataguard.audit/1" or report["findings"] != []:
                raise _no_report(path)
            slices = [(_slice(ctx, row), str(row["root"])) for row in report["versions"]]
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as err:
            raise _no_report(path) from err
        for part, root in slices:
            _record(ctx, part, root, findings)


def _keep(findings: Sightings, row: Mapping[str, Any]) -> None:
    findings.add(_finding(row))


def _no_report(path: str) -> DataguardError:
    return UsageError(f"{path} is no report of a slice that was recorded", hint=_HINT)


def _record(ctx: Context, part: SliceRecord, root: str, findings: Sightings) -> None:
    version = ctx.catalog.version(part.dataset, part.version)
    if str(version.root) != root:
        raise ConflictError(
            f"{version.reference} has other content in the catalog of the report",
            hint=f"dataguard show {version.reference}",
        )
    if any(_is_known(one, part) for one in ctx.catalog.slices(part.dataset, part.version)):
        return
    key = (part.dataset, part.version)
    record_findings(ctx, (one for one in findings.since(0) if (one.dataset, one.version) == key))
    with ctx.catalog.transaction() as tx:
        tx.record_slice(part)


def _is_known(recorded: SliceRecord, part: SliceRecord) -> bool:
    """Whether a slice, or a later look at it, is recorded: files come in any order."""
    return recorded.key == part.key and recorded.started >= part.started


def _slice(ctx: Context, row: Mapping[str, Any]) -> SliceRecord:
    part = row["part"]
    return SliceRecord(
        dataset=_text(part["dataset"]),
        version=int(part["version"]),
        location=_raw(part, "location").decode("utf-8", "surrogateescape"),
        level=AuditLevel(part["level"]),
        index=int(part["index"]),
        count=int(part["count"]),
        after=_raw(part, "after"),
        through=None if part["through"] is None else _raw(part, "through"),
        started=parse_time(part["started"]),
        finished=parse_time(part["finished"]),
        gaps=tuple(_gap(gap) for gap in part["gaps"]),
        actor=ctx.actor,
        complete=part["complete"] is True,
        clean=part["clean"] is True,
        baseline=part["baseline"] is True,
        checked_files=int(part["checked_files"]),
        checked_bytes=int(part["checked_bytes"]),
        findings=int(part["findings"]),
        unreadable=int(part["unreadable"]),
    )


def _gap(row: Mapping[str, Any]) -> Unreadable:
    return Unreadable(_raw(row, "path"), Obstacle(row["reason"]), _text(row["detail"]))


def _finding(row: Mapping[str, Any]) -> Finding:
    return Finding(
        code=Code[row["code"]],
        severity=Severity(row["severity"]),
        path=_raw(row, "path"),
        message=_text(row["message"]),
        first_seen=parse_time(row["first_seen"]),
        last_seen=parse_time(row["last_seen"]),
        dataset=_text(row["dataset"]),
        version=int(row["version"]),
        count=int(row["count"]),
        evidence=dict(row["evidence"]),
    )


def _raw(row: Mapping[str, Any], name: str) -> bytes:
    """Return a path as bytes: `NAME_b64` has them where the text cannot."""
    encoded = row.get(f"{name}_b64")
    return _text(row[name]).encode() if encoded is None else b64decode(encoded, validate=True)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
