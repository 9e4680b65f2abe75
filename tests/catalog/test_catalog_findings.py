from __future__ import annotations

from catalogs import EPOCH, finding, register
from hypothesis import given
from hypothesis import strategies as st

from dataguard.catalog.findings import merge_all
from dataguard.catalog.writing import FINDINGS_PER_EVENT
from dataguard.model.finding import Code, FindingState


def record(catalog, *findings):
    with catalog.transaction() as t:
        t.record_findings(findings)


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


def test_complete_audit_resolves_what_it_did_not_see(catalog):
    gone, seen, other = finding(b"a"), finding(b"b"), finding(b"c", Code.DG106)
    record(catalog, gone, seen, other)
    with catalog.transaction() as t:
        assert t.resolve_absent("faces", 1, [Code.DG101], {seen.id}, "audit") == 1
        assert t.resolve_absent("faces", 1, [Code.DG101], {seen.id}, "audit") == 0
    assert catalog.finding(gone.id).state is FindingState.RESOLVED
    assert len(catalog.findings(states=[FindingState.OPEN])) == 2


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
    first = {one.id: one for one in merge_all({}, seen[:cut])}
    (parted,) = merge_all(first, seen[cut:]) or first.values()
    (whole,) = merge_all({}, seen)
    assert whole == parted
    assert ((whole.first_seen - EPOCH).days, whole.count) == (min(days), len(days))
