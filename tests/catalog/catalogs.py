"""Catalogs for tests: a home on disk, a clock that ticks, records to put in."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from dataguard.catalog.address import sqlite_url
from dataguard.catalog.repository import Catalog
from dataguard.model.actor import Actor, Process
from dataguard.model.audit import AuditLevel, AuditRecord
from dataguard.model.dataset import FileSystem, Registration
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.finding import Code, Finding, Severity
from dataguard.model.mount import (
    Backend,
    Guarantee,
    MountRecord,
    MountState,
    Probe,
    ProbeOutcome,
    ProbeStep,
)
from dataguard.model.run import Run, RunInput, RunState
from dataguard.model.workspace import WorkspaceRecord

ACTOR = Actor("ada", 1000, "node1", 1000)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LOCAL = FileSystem("ext4", shared=False, host="m1", device=2**64 - 1, fsid=2**63, tick_ns=1)


def ticking():
    seconds = count()
    return lambda: EPOCH + timedelta(seconds=next(seconds))


@dataclass
class Home:
    path: str
    clock: object = field(default_factory=ticking)

    def __post_init__(self):
        os.makedirs(self.path, exist_ok=True)

    @property
    def database(self):
        return os.path.join(self.path, "catalog.db")

    @property
    def url(self):
        return sqlite_url(self.database)

    @property
    def events(self):
        return os.path.join(self.path, "events")

    def open(self, *, url=None, **options):
        return Catalog.open(
            url or self.url, events=self.events, clock=self.clock, actor=ACTOR, **options
        )

    def lines(self):
        names = sorted(os.listdir(self.events))
        return [line for n in names for line in open_lines(os.path.join(self.events, n))]


def open_lines(path):
    with open(path, "rb") as lines:
        return lines.readlines()


def root_of(content):
    return RootDigest(hashlib.sha256(content.encode()).hexdigest())


def registration(content="a", *, dataset="faces", place="/gold/faces", sheet="s1", **fields):
    return Registration(
        dataset=dataset,
        root=root_of(content),
        algorithm=Algorithm.XXH3_128,
        entries=3,
        files=2,
        bytes=20,
        place=place,
        sheet=sheet,
        filesystem=LOCAL,
        **fields,
    )


def register(catalog, content="a", **fields):
    with catalog.transaction() as transaction:
        return transaction.register(registration(content, **fields))


def finding(path=b"a.txt", code=Code.DG101, *, at=0, message="changed", **fields):
    seen = EPOCH + timedelta(days=at)
    values = {"dataset": "faces", "version": 1, "evidence": {"size": 3}, **fields}
    return Finding(code, Severity.ERROR, path, message, seen, seen, **values)


def audit(version=1, level=AuditLevel.FULL, *, clean=True):
    return AuditRecord(
        "faces", version, "/gold/faces", level, EPOCH, EPOCH, True, clean, 2, 20, 0, 0, ACTOR
    )


def mount(name="faces", *, state=MountState.ACTIVE, host="m1"):
    return MountRecord(
        workspace="/work",
        name=name,
        dataset="faces",
        version=1,
        source="/gold/faces",
        target=f"/work/data/{name}",
        backend=Backend.BIND,
        guarantee=Guarantee.ENFORCED,
        state=state,
        host=host,
        created=EPOCH,
        actor=ACTOR,
        probe=Probe((ProbeStep("open", ProbeOutcome.REFUSED, "EROFS"),)),
        mount_id=31,
        root_device=2**64 - 1,
        root_inode=2**64 - 1,
        boot_id="b",
    )


def workspace(directory="/work"):
    return WorkspaceRecord(directory, "/out", "m1", EPOCH, ACTOR)


def run(run_id="r1", *, version=1, state=RunState.RUNNING, at=0):
    used = RunInput("faces", version, "dg1:00", "/gold/faces", "faces", "verified", "not checked")
    return Run(
        id=run_id,
        state=state,
        command=("cat", "bad\udcff name"),
        directory="/home/ada",
        workspace=None,
        outputs="/out/runs/r1",
        inputs=(used, replace(used, dataset="labels")),
        actor=ACTOR,
        process=Process("m1", "b", 7, 99),
        started=EPOCH + timedelta(days=at),
    )


def fill(catalog):
    """Put in one of everything, with a history."""
    register(catalog, "a", owner="ada", note="back\\slash \x00 \udcff", metadata={"k": "v"})
    register(catalog, "b", supersede=True, reason="fixed", exclude=("*.tmp",))
    register(catalog, "c", dataset="labels", place="/gold/labels")
    with catalog.transaction() as t:
        t.add_location("faces", 2, "s3://bucket/faces", None, None)
        t.move_tag("faces", "prod", 1)
        t.move_tag("faces", "prod", 2)
        t.record_audit(audit(2))
        t.record_findings([finding(b"\xff\n"), finding(b"b", dataset=None, version=None)])
        t.put_workspace(workspace())
        t.put_workspace(workspace("/gone"))
        t.remove_workspace("/gone", "m1")
        t.put_mount(mount())
        t.put_run(run())
        t.put_run(run(state=RunState.COMPLETE))
        t.set_digest_sheet("faces", 2, "d1")


def everything(catalog):
    """Return all records, to compare catalogs with."""
    names = [dataset.name for dataset in catalog.datasets()]
    return (
        catalog.catalog_id(),
        catalog.datasets(),
        catalog.versions(),
        [catalog.locations(name) for name in names],
        [catalog.tags(name) for name in names],
        [catalog.tag_history(name, "prod") for name in names],
        [catalog.audits(v.dataset, v.number) for v in catalog.versions()],
        catalog.findings(),
        catalog.workspaces(),
        catalog.mounts(removed=True),
        catalog.runs(),
        catalog.runs(dataset="labels"),
        list(catalog.events()),
    )
