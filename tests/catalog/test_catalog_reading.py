from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from catalogs import audit, finding, mount, register, root_of, run, workspace

from dataguard.errors import NotFoundError, UsageError
from dataguard.model.audit import AuditLevel
from dataguard.model.dataset import VersionState
from dataguard.model.finding import Code, FindingState
from dataguard.model.mount import MountState
from dataguard.model.reference import Reference
from dataguard.model.run import RunState


@pytest.fixture
def three(catalog):
    for number, content in enumerate("abc", start=1):
        register(catalog, content, place=f"/gold/{number}")
    return catalog


def number_of(catalog, text):
    return catalog.resolve(Reference.parse(text)).number


def test_reference_without_selector_means_the_newest_active_version(three):
    assert number_of(three, "faces") == 3
    with three.transaction() as t:
        t.set_state("faces", 3, VersionState.WITHDRAWN, "broken")
    assert number_of(three, "faces") == 2


def test_reference_by_number_root_and_tag(three):
    with three.transaction() as t:
        t.move_tag("faces", "prod", 1)
    assert number_of(three, "faces@2") == 2
    assert number_of(three, f"faces@dg1:{root_of('b').hex[:8]}") == 2
    assert number_of(three, "faces@prod") == 1


def test_ambiguous_root_prefix_is_a_usage_error(catalog, monkeypatch):
    monkeypatch.setattr("catalogs.root_of", lambda content: type(root_of("a"))(content * 64))
    register(catalog, "1")
    prefix = "faces@dg1:11111111"
    assert number_of(catalog, prefix) == 1
    monkeypatch.setattr("catalogs.root_of", lambda _: type(root_of("a"))("1" * 63 + "2"))
    register(catalog, "2", place="/other")
    with pytest.raises(UsageError, match="fits version 1, 2"):
        number_of(catalog, prefix)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("faces@9", "no version `faces@9`; it has version 1, 2, 3"),
        ("faces@prod", "no version `faces@prod`; it has no tags"),
        ("faces@dg1:00000000", "its roots begin with dg1:"),
        ("dogs", "no dataset `dogs` in the catalog"),
    ],
)
def test_message_says_what_exists(three, text, words):
    with pytest.raises(NotFoundError, match=words) as caught:
        number_of(three, text)
    assert "`dataguard l" in str(caught.value.hint)


def test_dataset_without_an_active_version_says_why(catalog):
    register(catalog)
    with catalog.transaction() as t:
        t.set_state("faces", 1, VersionState.QUARANTINED, "broken")
    with pytest.raises(NotFoundError, match="no active version: 1 is quarantined"):
        number_of(catalog, "faces")


def test_unknown_records_are_not_found(three):
    for look in (
        lambda: three.version("faces", 9),
        lambda: three.version("dogs", 1),
        lambda: three.finding("F-0"),
        lambda: three.run("r0"),
    ):
        with pytest.raises(NotFoundError):
            look()


def test_tag_history_is_newest_first_and_a_repeat_leaves_no_trace(three):
    with three.transaction() as t:
        for number in (1, 2, 2, 1):
            t.move_tag("faces", "prod", number)
    assert [tag.version for tag in three.tag_history("faces", "prod")] == [1, 2, 1]
    assert [tag.version for tag in three.tags("faces")] == [1]


def test_tag_that_looks_like_a_number_is_refused(three):
    with pytest.raises(UsageError), three.transaction() as t:
        t.move_tag("faces", "3", 1)


def test_last_audit_is_that_of_the_level_asked_for(three):
    with three.transaction() as t:
        t.record_audit(audit(1, AuditLevel.FULL))
        t.record_audit(audit(1, AuditLevel.QUICK, clean=False))
    assert three.last_audit("faces", 1).level is AuditLevel.QUICK
    assert three.last_audit("faces", 1, AuditLevel.FULL).clean
    assert three.last_audit("faces", 2) is None
    assert [one.level for one in three.audits("faces", 1)] == [AuditLevel.QUICK, AuditLevel.FULL]


def test_findings_are_filtered(three):
    with three.transaction() as t:
        t.record_findings([finding(b"b"), finding(b"a", Code.DG102), finding(dataset=None)])
        t.set_finding_state(finding(b"b").id, FindingState.RESOLVED, "restored")
    assert [one.path for one in three.findings(dataset="faces")] == [b"a", b"b"]
    assert [one.path for one in three.findings(code=Code.DG102)] == [b"a"]
    assert [one.path for one in three.findings(states=[FindingState.RESOLVED])] == [b"b"]
    assert three.findings(states=[]) == ()
    assert three.findings(version=2) == ()


def test_removed_mounts_are_shown_only_if_asked(catalog):
    with catalog.transaction() as t:
        t.put_mount(mount("a"))
        t.put_mount(mount("b", state=MountState.REMOVED))
        t.put_mount(mount("c", host="m2"))
    assert [one.name for one in catalog.mounts()] == ["a", "c"]
    assert [one.name for one in catalog.mounts("/work", "m1")] == ["a"]
    assert [one.name for one in catalog.mounts(removed=True)] == ["a", "b", "c"]


def test_mount_at_the_same_target_replaces_the_record(catalog):
    with catalog.transaction() as t:
        t.put_mount(mount())
        t.put_mount(mount(state=MountState.REMOVING))
    assert catalog.mounts() == (mount(state=MountState.REMOVING),)


def test_workspaces_come_and_go(catalog):
    with catalog.transaction() as t:
        t.put_workspace(workspace("/b"))
        t.put_workspace(workspace("/a"))
        t.remove_workspace("/b", "m1")
    assert catalog.workspaces() == (workspace("/a"),)


def test_runs_are_found_by_state_and_by_what_they_read(catalog):
    with catalog.transaction() as t:
        t.put_run(run("r1"))
        t.put_run(run("r2", version=2, at=1))
        t.put_run(run("r1", state=RunState.COMPLETE))
    assert [one.id for one in catalog.runs()] == ["r2", "r1"]
    assert [one.id for one in catalog.runs(state=RunState.RUNNING)] == ["r2"]
    assert [one.id for one in catalog.runs(dataset="faces", version=1)] == ["r1"]
    assert [one.id for one in catalog.runs(dataset="labels")] == ["r2", "r1"]
    with catalog.transaction() as t:
        t.put_run(replace(run("r2", version=2), inputs=()))
    assert [one.id for one in catalog.runs(dataset="labels")] == ["r1"]
    assert catalog.run("r1") == run("r1", state=RunState.COMPLETE)


def test_active_locations_leave_out_retired_ones(three):
    register(three, "d", place="/gold/1", supersede=True, reason="r")
    found = [(one.place, one.version) for one in three.active_locations()]
    assert found == [("/gold/1", 4), ("/gold/2", 2), ("/gold/3", 3)]


def test_importing_the_catalog_loads_nothing_heavy_it_does_not_need():
    program = (
        "import sys, dataguard.catalog.repository, dataguard.catalog.maintenance;"
        "print(*({'alembic', 'pyarrow', 'fsspec', 'numpy'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout == b"\n"
