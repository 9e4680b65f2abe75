from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from catalogs import ACTOR, EPOCH, finding, register
from hypothesis import given
from hypothesis import strategies as st

from dataguard.catalog.findings import merge_all
from dataguard.catalog.statements import above, is_in, select
from dataguard.catalog.tables import FINDING
from dataguard.catalog.writing import FINDINGS_PER_EVENT
from dataguard.model.audit import AuditLevel, SliceRecord
from dataguard.model.entry import Obstacle, Unreadable
from dataguard.model.finding import Code, FindingState


def record(catalog, *findings):
    with catalog.transaction() as t:
        t.record_findings(findings)


def slice_record(index, *, dataset="faces"):
    return SliceRecord(
        dataset=dataset,
        version=1,
        location="/gold/\udcff",
        level=AuditLevel.FULL,
        index=index,
        count=2,
        after=b"\xff",
        through=None,
        started=EPOCH,
        finished=EPOCH,
        complete=False,
        clean=False,
        baseline=True,
        checked_files=1,
        checked_bytes=2,
        findings=3,
        unreadable=1,
        gaps=(Unreadable(b"\xfe", Obstacle.FIFO, ""),),
        actor=ACTOR,
    )


def test_repeat_is_merged(catalog):
    record(catalog, finding(at=1))
    record(catalog, finding(at=2, message="changed again", count=3))
    (found,) = catalog.findings()
    assert (found.count, found.message) == (4, "changed again")
    assert ((found.first_seen - EPOCH).days, (found.last_seen - EPOCH).days) == (1, 2)


def test_repeat_in_one_batch_is_merged(catalog):
    record(catalog, finding(at=1), finding(at=2))
    assert [one.count for one in catalog.findings()] == [2]


def test_resolved_finding_opens_again_and_acknowledged_one_stays(catalog):
    record(catalog, finding(b"a"), finding(b"b"))
    with catalog.transaction() as t:
        t.set_finding_state(finding(b"a").id, FindingState.RESOLVED, "restored")
        t.set_finding_state(finding(b"b").id, FindingState.ACKNOWLEDGED, "known")
    record(catalog, finding(b"a"), finding(b"b"))
    assert [one.state for one in catalog.findings()] == [
        FindingState.OPEN,
        FindingState.ACKNOWLEDGED,
    ]


def test_many_findings_become_several_events(catalog):
    register(catalog)
    record(catalog, *(finding(b"%d" % n) for n in range(FINDINGS_PER_EVENT + 1)))
    kinds = [event.kind for event in catalog.events(after=2)]
    assert kinds == ["findings.recorded", "findings.recorded"]
    assert len(catalog.findings()) == FINDINGS_PER_EVENT + 1


def test_no_findings_are_no_event(catalog):
    before = list(catalog.events())
    record(catalog)
    assert list(catalog.events()) == before


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 9))
def test_merging_does_not_depend_on_how_sightings_are_batched(days, cut):
    seen = [finding(at=day) for day in days]
    named = [(one.id, one) for one in seen]
    first = merge_all({}, named[:cut])
    (parted,) = (merge_all(first, named[cut:]) or first).values()
    (whole,) = merge_all({}, named).values()
    assert whole == parted
    assert ((whole.first_seen - EPOCH).days, whole.count) == (min(days), len(days))


def test_findings_of_a_version_come_page_by_page_in_path_order(catalog, monkeypatch):
    register(catalog)
    found = [finding(b"%02d" % n, code) for n in range(4) for code in (Code.DG101, Code.DG105)]
    record(catalog, *reversed(found), finding(b"\xff/"), finding(b"a"))
    monkeypatch.setattr("dataguard.catalog.reading._PAGE", 3)
    seen, last = [], None
    while page := catalog.findings_after("faces", 1, last, states=[FindingState.OPEN]):
        assert len(page) <= 3
        seen += page
        last = page[-1]
    assert [one.path for one in seen] == [*(b"%02d" % (n // 2) for n in range(8)), b"a", b"\xff/"]
    assert len({one.id for one in seen}) == 10
    assert catalog.findings_after("faces", 2, None, states=[FindingState.OPEN]) == ()


def test_page_of_findings_is_read_in_the_order_of_an_index(home, catalog):
    register(catalog)
    query = select(FINDING, dataset="faces", version=1).where(is_in("state", ["open"]))
    after = query.where(above("path", "YQ==")).order_by("path", "code").limit(5).statement()
    with closing(sqlite3.connect(home.database)) as driver:
        rows = driver.execute(f"EXPLAIN QUERY PLAN {after.text}", after.parameters).fetchall()
    (plan,) = [row[-1] for row in rows]  # another step would be a sort
    assert "dataset=? AND version=? AND path>?" in plan


def test_findings_are_told_apart_by_their_last_sighting(catalog):
    register(catalog)
    record(catalog, finding(b"a"))
    (known,) = catalog.findings()
    options = {"states": [FindingState.OPEN]}
    moment = known.last_seen
    later = moment + timedelta(microseconds=1)
    assert catalog.findings_after("faces", 1, None, seen_from=moment, **options) == (known,)
    assert catalog.findings_after("faces", 1, None, seen_before=later, **options) == (known,)
    assert catalog.findings_after("faces", 1, None, seen_from=later, **options) == ()
    assert catalog.findings_after("faces", 1, None, seen_before=moment, **options) == ()


def test_what_somebody_saw_or_changed_meanwhile_is_not_resolved(catalog):
    register(catalog)
    record(catalog, *map(finding, (b"a", b"b", b"c")))
    looked_up = catalog.findings()
    record(catalog, finding(b"a"))
    with catalog.transaction() as t:
        t.set_finding_state(looked_up[1].id, FindingState.ACKNOWLEDGED, "known")
    with catalog.transaction() as t:
        t.resolve_unseen(looked_up, "audit")
    assert [one.state.value for one in catalog.findings()] == ["open", "acknowledged", "resolved"]


def test_a_slice_is_kept_until_it_is_forgotten(catalog):
    register(catalog)
    register(catalog, dataset="faces-2")
    parts = [slice_record(index) for index in (1, 2)]
    with catalog.transaction() as t:
        for part in (*parts, replace(parts[0], findings=7), slice_record(1, dataset="faces-2")):
            t.record_slice(part)
    assert catalog.slices("faces", 1) == (replace(parts[0], findings=7), parts[1])
    assert catalog.slices("faces", 2) == ()
    with catalog.transaction() as t:
        t.forget_slices(parts)
    assert catalog.slices("faces", 1) == ()
    assert len(catalog.slices("faces-2", 1)) == 1
