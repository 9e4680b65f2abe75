"""From records and what is there to a status, and to the steps that lead to what is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.core.mountplan import StepKind, Wanted, plan, status
from dataguard.model.actor import Actor
from dataguard.model.digest import RootDigest
from dataguard.model.mount import Backend, Guarantee, MountRecord, MountState
from dataguard.model.mountpoint import MountPoint, MountStatus, TargetKind, TargetView
from dataguard.model.workspace import LockEntry

BOOT = "boot-1"
SOURCE = "/gold/faces"
IDENTITY = (5, 77)


def target_of(name):
    return f"/ws/data/{name}"


def record(name="faces", *, backend=Backend.BIND, **changes):
    made = MountRecord(
        workspace="/ws",
        name=name,
        dataset="faces",
        version=1,
        source=SOURCE,
        target=target_of(name),
        backend=backend,
        guarantee={
            Backend.BIND: Guarantee.ENFORCED,
            Backend.DECLARED: Guarantee.DECLARED,
            Backend.SYMLINK: Guarantee.NONE,
            Backend.CONTAINER: Guarantee.ENFORCED,
        }[backend],
        state=MountState.ACTIVE,
        host="node",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        actor=Actor("ada", 1, "node"),
        mount_id=9,
        root_device=IDENTITY[0],
        root_inode=IDENTITY[1],
        boot_id=BOOT,
    )
    return replace(made, **changes)


def point(name="faces", *, mount_id=9, read_only=True, below=""):
    return MountPoint(mount_id, 1, "8:1", "/x", target_of(name) + below, read_only, "ext4")


def empty(name="faces"):
    return TargetView(target_of(name), TargetKind.EMPTY, 5, 3)


def mounted(name="faces", *, identity=IDENTITY, read_only=True, below=()):
    stack = (point(name, read_only=read_only),)
    return TargetView(target_of(name), TargetKind.FULL, *identity, stack=stack, below=below)


def linked(link=SOURCE):
    return TargetView(target_of("faces"), TargetKind.LINK, 5, 4, link)


def of_kind(kind):
    return TargetView(target_of("faces"), kind, 5, 4)


def wanted(name="faces", *, version=1, backend=Backend.BIND, insisted=False, identity=IDENTITY):
    entry = LockEntry(name, "faces", version, RootDigest("0" * 64), SOURCE)
    guarantee = record(backend=backend).guarantee
    return Wanted(entry, "/ws", target_of(name), *identity, backend, guarantee, insisted)


def planned(wish, records, *views):
    steps = plan(wish, records, {view.target: view for view in views}, BOOT)
    return [step.kind for step in steps]


@pytest.mark.parametrize(
    ("kept", "view", "expected"),
    [
        (record(), mounted(), MountStatus.LIVE),
        (record(mount_id=1234), mounted(), MountStatus.LIVE),  # another mount namespace
        (record(), empty(), MountStatus.MISSING),
        (record(), of_kind(TargetKind.ABSENT), MountStatus.MISSING),
        (record(boot_id="boot-0"), empty(), MountStatus.STALE),
        (record(boot_id="boot-0"), mounted(), MountStatus.REPLACED),
        (record(), mounted(identity=(5, 78)), MountStatus.REPLACED),
        (record(), mounted(identity=(None, None)), MountStatus.REPLACED),
        (record(), mounted(read_only=False), MountStatus.WRITABLE),
        (record(), mounted(below=(point(read_only=False, below="/d"),)), MountStatus.WRITABLE),
        (record(), mounted(below=(point(below="/d"),)), MountStatus.LIVE),
        (record(backend=Backend.SYMLINK), linked(), MountStatus.LINK),
        (record(backend=Backend.SYMLINK), linked("/other"), MountStatus.REPLACED),
        (record(backend=Backend.SYMLINK), of_kind(TargetKind.ABSENT), MountStatus.MISSING),
        (record(backend=Backend.SYMLINK), of_kind(TargetKind.FULL), MountStatus.REPLACED),
        (record(backend=Backend.SYMLINK), mounted(), MountStatus.REPLACED),
        (record(backend=Backend.DECLARED), empty(), MountStatus.DECLARED),
        (record(backend=Backend.DECLARED, boot_id="boot-0"), empty(), MountStatus.DECLARED),
        (record(backend=Backend.DECLARED), of_kind(TargetKind.OTHER), MountStatus.REPLACED),
        (record(backend=Backend.DECLARED), mounted(), MountStatus.LIVE),
    ],
)
def test_status_of_a_record(kept, view, expected):
    assert expected is status(kept, view, BOOT)


def test_first_mount_is_made():
    assert [StepKind.MAKE] == planned([wanted()], [], empty())


@pytest.mark.parametrize(
    "view",
    [
        mounted(),
        of_kind(TargetKind.FULL),
        of_kind(TargetKind.OTHER),
        of_kind(TargetKind.BROKEN),
        linked(),
        replace(empty(), below=(point(below="/d"),)),
    ],
)
def test_what_nobody_recorded_is_in_the_way(view):
    assert [StepKind.BLOCKED] == planned([wanted()], [], view)


@pytest.mark.parametrize(
    ("wish", "kept", "view", "expected"),
    [
        (wanted(), record(), mounted(), StepKind.KEEP),
        (wanted(), record(state=MountState.MAKING), mounted(), StepKind.ADOPT),
        (wanted(), record(state=MountState.MAKING), empty(), StepKind.REMAKE),
        (wanted(), record(state=MountState.REMOVING), mounted(), StepKind.REMAKE),
        (wanted(), record(state=MountState.REMOVING), empty(), StepKind.REMAKE),
        (wanted(), record(state=MountState.REMOVED), empty(), StepKind.MAKE),
        (wanted(), record(boot_id="boot-0"), empty(), StepKind.REMAKE),
        (wanted(), record(), mounted(read_only=False), StepKind.REMAKE),
        (wanted(), record(), mounted(identity=(1, 1)), StepKind.BLOCKED),
        (wanted(version=2), record(), mounted(), StepKind.MOVE),
        (wanted(identity=(5, 99)), record(), mounted(), StepKind.REMAKE),
        (wanted(), record(backend=Backend.DECLARED), empty(), StepKind.REMAKE),
        (wanted(), record(backend=Backend.SYMLINK), linked(), StepKind.REMAKE),
    ],
)
def test_step_from_a_record(wish, kept, view, expected):
    assert [expected] == planned([wish], [kept], view)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (wanted(backend=Backend.DECLARED), StepKind.KEEP),
        (wanted(backend=Backend.SYMLINK), StepKind.KEEP),
        (wanted(backend=Backend.SYMLINK, insisted=True), StepKind.REMAKE),
    ],
)
def test_stronger_mount_stays_unless_a_backend_is_named(wish, expected):
    assert [expected] == planned([wish], [record()], mounted())


def test_declared_mount_gives_way_to_a_link():
    wish = wanted(backend=Backend.SYMLINK)
    assert [StepKind.REMAKE] == planned([wish], [record(backend=Backend.DECLARED)], empty())


@pytest.mark.parametrize(("old", "new"), [("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c")])
def test_mounts_do_not_nest(old, new):
    views = (mounted(old), empty(new))
    assert [StepKind.BLOCKED] == planned([wanted(new)], [record(old)], *views)
    both = [wanted(old), wanted(new)]
    assert [StepKind.BLOCKED] * 2 == planned(both, [], empty(old), empty(new))


def test_names_with_the_same_beginning_do_not_nest():
    assert [StepKind.MAKE] == planned([wanted("ab")], [record("a")], mounted("a"), empty("ab"))


@pytest.mark.parametrize("state", [MountState.MAKING, MountState.REMOVING])
def test_what_a_crash_left_goes_first(state):
    kept = [record("old", state=state)]
    steps = planned([wanted("new")], kept, mounted("old"), empty("new"))
    assert [StepKind.FINISH_REMOVAL, StepKind.MAKE] == steps


def test_other_active_mounts_are_left_alone():
    assert [] == planned([], [record()], mounted())


@given(
    state=st.sampled_from([MountState.MAKING, MountState.ACTIVE, MountState.REMOVING]),
    view=st.sampled_from([mounted(), empty(), mounted(read_only=False)]),
    boot=st.sampled_from([BOOT, "boot-0"]),
    version=st.integers(1, 3),
)
def test_planning_again_after_the_steps_keeps(state, view, boot, version):
    wish = wanted(version=version)
    [step] = plan([wish], [record(state=state, boot_id=boot)], {view.target: view}, BOOT)
    if step.kind is not StepKind.BLOCKED:
        done = record(version=version)
        assert [StepKind.KEEP] == planned([wish], [done], mounted())
    else:
        assert view.stack
        assert boot != BOOT


def contained(*, read_only=True, identity=IDENTITY, kind=TargetKind.FULL):
    through = MountPoint(4, 1, "8:1", "/", "/", read_only, "ext4")
    return TargetView(target_of("faces"), kind, *identity, through=through)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (contained(), MountStatus.LIVE),
        (contained(read_only=False), MountStatus.WRITABLE),
        (contained(identity=(5, 3)), MountStatus.REPLACED),
        (contained(identity=(5, 3), kind=TargetKind.EMPTY), MountStatus.MISSING),
        (TargetView(target_of("faces"), TargetKind.ABSENT), MountStatus.MISSING),
        (replace(contained(), below=(point(below="/x", read_only=False),)), MountStatus.WRITABLE),
    ],
)
def test_mount_of_a_runtime_is_what_it_is_seen_through(view, expected):
    assert expected is status(record(backend=Backend.CONTAINER, mount_id=None), view, BOOT)


def test_mount_of_a_runtime_is_recorded_where_it_is_and_followed_where_it_moves():
    asked = wanted(backend=Backend.CONTAINER)
    views = {target_of("faces"): contained(), SOURCE: replace(contained(), target=SOURCE)}
    [made] = plan([asked], [], views, BOOT)
    old = record(backend=Backend.CONTAINER, target=SOURCE)
    [moved] = plan([asked], [old], views, BOOT)
    [kept] = plan([asked], [record(backend=Backend.CONTAINER)], views, BOOT)
    assert (StepKind.MAKE, StepKind.REMAKE, StepKind.KEEP) == (made.kind, moved.kind, kept.kind)
