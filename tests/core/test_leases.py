"""What records of mounts and runs say of who uses a version now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.leases import (
    lease_hint,
    mount_lease,
    run_lease,
    runs_since_good_audit,
)
from dataguard.core.leasewords import lease_words
from dataguard.model.actor import Actor, Process
from dataguard.model.audit import AuditLevel
from dataguard.model.lease import LeaseState
from dataguard.model.mount import Backend, Guarantee, MountRecord, MountState
from dataguard.model.mountpoint import MountStatus
from dataguard.model.run import Run, RunInput, RunState
from support.gatefacts import audit, version

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE = Process("node1", "boot-2", 77, 1234)
FACES = version()
PLACE = "/gold/faces"

mounted = MountRecord(
    workspace="/home/alice/my work",
    name="faces",
    dataset="faces",
    version=3,
    source=PLACE,
    target="/home/alice/my work/data/faces",
    backend=Backend.BIND,
    guarantee=Guarantee.ENFORCED,
    state=MountState.ACTIVE,
    host="node1",
    created=NOW,
    actor=Actor("alice", 1000, "node1"),
    boot_id="boot-2",
)


def a_run(**changes):
    values = {
        "id": "job",
        "state": RunState.RUNNING,
        "command": ("true",),
        "directory": "/",
        "workspace": None,
        "outputs": "/out/runs/job",
        "inputs": (RunInput("faces", 3, str(FACES.root), PLACE, "faces", "verified", "-"),),
        "actor": Actor("bob", 1001, "node1"),
        "process": HERE,
        "started": NOW,
    }
    return Run(**(values | changes))


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (MountStatus.LIVE, LeaseState.LIVE),
        (MountStatus.DECLARED, LeaseState.LIVE),
        (MountStatus.LINK, LeaseState.LIVE),
        (MountStatus.WRITABLE, LeaseState.LIVE),
        (MountStatus.MISSING, LeaseState.UNKNOWN),
        (MountStatus.REPLACED, LeaseState.UNKNOWN),
        (None, LeaseState.UNKNOWN),
    ],
)
def test_mount_of_this_boot_is_live_or_cannot_be_seen_from_here(found, state):
    assert state is mount_lease(mounted, found, HERE).state


@pytest.mark.parametrize("found", [*MountStatus, None])
@pytest.mark.parametrize("backend", [Backend.BIND, Backend.FUSE, Backend.OVERLAY])
def test_mount_of_the_kernel_ended_with_its_boot(backend, found):
    old = replace(mounted, boot_id="boot-1", backend=backend)
    assert LeaseState.ENDED is mount_lease(old, found, HERE).state


@pytest.mark.parametrize("backend", [Backend.DECLARED, Backend.SYMLINK])
def test_what_the_kernel_does_not_hold_outlives_its_boot(backend):
    old = replace(mounted, boot_id="boot-1", backend=backend)
    found = MountStatus.DECLARED if backend is Backend.DECLARED else MountStatus.LINK
    assert mount_lease(old, found, HERE).holds


def test_served_mount_ended_with_its_server():
    served = replace(mounted, backend=Backend.FUSE)
    assert not mount_lease(served, MountStatus.STALE, HERE).holds


@pytest.mark.parametrize(("boot", "here"), [(None, "boot-2"), ("", "boot-2"), ("boot-1", "")])
def test_boot_that_is_not_known_ends_nothing(boot, here):
    record = replace(mounted, boot_id=boot)
    assert mount_lease(record, MountStatus.STALE, replace(HERE, boot_id=here)).holds


@given(st.sampled_from([*MountStatus, None]), st.sampled_from(Backend), st.text(max_size=3))
def test_what_another_host_holds_is_never_ended_from_here(found, backend, boot):
    record = replace(mounted, host="node2", backend=backend, boot_id=boot)
    assert LeaseState.UNKNOWN is mount_lease(record, found, HERE).state


@pytest.mark.parametrize(
    ("alive", "state"),
    [(True, LeaseState.LIVE), (False, LeaseState.ENDED), (None, LeaseState.UNKNOWN)],
)
def test_run_holds_a_lease_as_long_as_its_process_may_live(alive, state):
    lease = run_lease(a_run(), FACES, alive=alive, here=HERE)
    assert (state, state is not LeaseState.ENDED) == (lease.state, lease.holds)


def test_lease_says_who_since_when_and_how_it_ends():
    lease = mount_lease(mounted, MountStatus.LIVE, HERE)
    assert (
        'mounted at "/home/alice/my work/data/faces" by alice on node1 since 2026-03-01 12:00:00Z'
    ) == lease_words(lease)
    assert "dataguard unmount faces -w '/home/alice/my work'" == lease_hint(lease, HERE)


def test_lease_of_another_host_says_that_it_is_unknown_and_where_to_look():
    lease = mount_lease(replace(mounted, host="node2"), None, HERE)
    assert "unknown: on another host" in lease_words(lease)
    assert "look on node2" == lease_hint(lease, HERE)
    away = a_run(process=replace(HERE, host="node2"))
    assert "on another host" in lease_words(run_lease(away, FACES, alive=None, here=HERE))


def test_lease_is_told_from_a_later_one_at_the_same_place():
    first = mount_lease(mounted, MountStatus.LIVE, HERE)
    later = mount_lease(replace(mounted, created=NOW + timedelta(1)), MountStatus.LIVE, HERE)
    assert first.key != later.key
    assert first.key == mount_lease(mounted, None, HERE).key


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ended", "is_suspect"),
    [(None, True), (-3 * HOUR, False), (-2 * HOUR, True), (-HOUR, True)],
)
def test_run_is_suspect_that_went_on_after_the_last_good_audit_had_begun(ended, is_suspect):
    good = audit(2 * HOUR, started=NOW - 2 * HOUR, finished=NOW - HOUR)
    run = a_run(started=NOW - 5 * HOUR, finished=None if ended is None else NOW + ended)
    found = list(runs_since_good_audit([run], [good], FACES))
    assert is_suspect == (["job"] == [one.run for one in found])


@pytest.mark.parametrize(
    "other", [{"clean": False}, {"level": AuditLevel.QUICK}, {"location": "/elsewhere"}]
)
def test_audit_that_proves_nothing_of_the_content_there_clears_no_run(other):
    values = {"started": NOW, "finished": NOW} | other
    later = audit(timedelta(0), values.pop("level", AuditLevel.FULL), **values)
    run = a_run(finished=NOW - HOUR)
    assert ["job"] == [one.run for one in runs_since_good_audit([run], [later], FACES)]


def test_run_is_listed_once_and_only_for_versions_it_read():
    twice = a_run(inputs=a_run().inputs * 2)
    assert 1 == len(list(runs_since_good_audit([twice], [], FACES)))
    assert not list(runs_since_good_audit([twice], [], version(number=4)))
