"""`mount`, `unmount` and workspaces with a real catalog and real mounts."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

import pytest

from dataguard.actions import mounting
from dataguard.actions.mount import mount
from dataguard.actions.unmount import unmount
from dataguard.actions.workspace import init, listed, remove, show
from dataguard.catalog.address import sqlite_url
from dataguard.catalog.repository import Catalog
from dataguard.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PolicyError,
    StoreUnreachableError,
    UsageError,
)
from dataguard.model.actor import Actor, Process
from dataguard.model.dataset import FileSystem, Registration, VersionState
from dataguard.model.digest import Algorithm, RootDigest
from dataguard.model.finding import Code
from dataguard.model.mount import Backend, Guarantee, MountState, ProbeOutcome
from dataguard.model.mountpoint import MountStatus
from dataguard.model.policy import MountRules, Policy
from dataguard.model.reference import Reference
from dataguard.mounts import bind, syscalls
from dataguard.stores import workspaces
from support.mountcleanup import (
    as_user,
    mount_command,
    mounts_below,
    needs_mounts,
    swept,
    unmount_command,
)

pytestmark = needs_mounts

ACTOR = Actor("tester", 0, "node")


@dataclass
class World:
    """What an action needs of the world; the rest of a Context is of no use to mounts."""

    catalog: Catalog
    clock: object
    actor: Actor = ACTOR
    process: Process = Process("node", "boot-1", 1, 1)  # noqa: RUF009 - frozen
    policy: Policy = Policy(format="policy/1", name="test")  # noqa: RUF009 - frozen
    top: str = ""

    @property
    def settings(self):
        return SimpleNamespace(home=SimpleNamespace(value=f"{self.top}/home"))

    def gold(self, name, content="x"):
        """Make a tree and register it."""
        place = f"{self.top}/gold/{name}"
        os.makedirs(f"{place}/dir", exist_ok=True)
        with open(f"{place}/a", "w", encoding="utf-8") as stream:
            stream.write(content)
        return self.register(name, place, content)

    def register(self, name, place, content, **options):
        digest = RootDigest(content.encode().hex().ljust(64, "0")[:64])
        status = os.stat(place)
        filesystem = FileSystem("ext4", False, "node", status.st_dev, 1, 1)
        registration = Registration(
            name, digest, Algorithm.XXH3_128, 1, 1, 1, place, None, filesystem, **options
        )
        with self.catalog.transaction() as transaction:
            return transaction.register(registration)[0]

    def set_state(self, version, state):
        with self.catalog.transaction() as transaction:
            transaction.set_state(version.dataset, version.number, state, "bad labels")

    @property
    def workspace(self):
        return f"{self.top}/ws"

    def init(self, name="ws"):
        return init(self, f"{self.top}/{name}", f"{self.top}/out-{name}").record.directory

    def mount(self, text=None, **options):
        reference = None if text is None else Reference.parse(text)
        return mount(self, reference, **{"workspace": self.workspace, **options})

    def unmount(self, selector=None, **options):
        return unmount(self, selector, **{"workspace": self.workspace, **options})

    def target(self, name="faces"):
        return f"{self.workspace}/data/{name}"

    def after_reboot(self):
        return replace(self, process=replace(self.process, boot_id="boot-2"))

    def records(self, **options):
        return self.catalog.mounts(workspace=self.workspace, host="node", **options)


def open_catalog(top):
    ticks = count()

    def clock():
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(ticks))

    home = f"{top}/home"
    os.makedirs(home, exist_ok=True)
    catalog = Catalog.open(
        sqlite_url(f"{home}/catalog.db"), events=f"{home}/events", clock=clock, actor=ACTOR
    )
    return catalog, clock


@pytest.fixture
def world(tmp_path):
    top = str(tmp_path.resolve())
    catalog, clock = open_catalog(top)
    with catalog, swept(top):
        made = World(catalog, clock, top=top)
        made.gold("faces")
        made.init()
        yield made


def test_what_this_host_can_do_is_asked_once_for_several_mounts(world, monkeypatch):
    asked, unavailable = [], bind.BindBackend.unavailable
    counted = lambda backend: (asked.append(backend), unavailable(backend))[1]  # noqa: E731
    monkeypatch.setattr(bind.BindBackend, "unavailable", counted)
    world.gold("other", "y")
    for name in ("faces", "other"):
        world.mount(name)
    asked.clear()
    assert 2 == len(world.mount().mounts)
    assert 1 == len(asked)


def refuses_writes(target):
    with pytest.raises(OSError, match="Read-only") as caught:
        open(f"{target}/a", "ab").close()
    return caught.value.errno == errno.EROFS


def test_mount_is_read_only_proven_and_recorded(world):
    [result] = world.mount("faces").mounts
    assert (Backend.BIND, Guarantee.ENFORCED, True, ()) == (
        result.backend,
        result.guarantee,
        result.created,
        result.findings,
    )
    assert {ProbeOutcome.REFUSED} == {step.result for step in result.probe}
    assert refuses_writes(world.target())
    [record] = world.records()
    assert (MountState.ACTIVE, result.probe) == (record.state, record.probe.steps)


def test_mount_is_declared_and_locked_with_its_version(world):
    world.mount("faces")
    declared = workspaces.read(world.workspace)
    assert {"faces": "faces@1"} == declared.datasets
    entry = declared.lock["faces"]
    assert ("faces", 1, f"{world.top}/gold/faces") == (entry.dataset, entry.version, entry.location)


def test_mounting_again_keeps_and_probes(world):
    world.mount("faces")
    before = mounts_below(world.top)
    [result] = world.mount("faces@1").mounts
    assert (False, "keep", 16) == (result.created, result.step, len(result.probe))
    assert before == mounts_below(world.top)


def test_grouped_name_gives_nested_directories_and_unmount_removes_them(world):
    world.gold("vision/faces")
    world.gold("vision/cats")
    world.mount("vision/faces")
    world.mount("vision/cats")
    assert refuses_writes(world.target("vision/faces"))
    world.unmount("vision/cats")
    assert ["vision"] == os.listdir(f"{world.workspace}/data")
    world.unmount("vision/faces")
    assert [] == os.listdir(f"{world.workspace}/data")


def test_other_version_takes_the_place_of_the_old(world):
    world.mount("faces")
    os.makedirs(f"{world.top}/gold/new")
    with open(f"{world.top}/gold/new/a", "w", encoding="utf-8") as stream:
        stream.write("second")
    world.register("faces", f"{world.top}/gold/new", "second")
    [result] = world.mount("faces@2").mounts
    assert (2, "move") == (result.version, result.step)
    with open(f"{world.target()}/a", encoding="utf-8") as stream:
        assert stream.read() == "second"
    assert {"faces": "faces@2"} == workspaces.read(world.workspace).datasets
    assert [world.target()] == mounts_below(world.workspace)


def test_one_dataset_under_two_names_and_in_two_workspaces(world):
    other = world.init("ws2")
    world.mount("faces")
    world.mount("faces", name="again")
    world.mount("faces", workspace=other)
    assert {os.stat(f"{world.top}/gold/faces/a").st_ino} == {
        os.stat(f"{place}/a").st_ino
        for place in (world.target(), world.target("again"), f"{other}/data/faces")
    }
    world.unmount(every=True)
    assert [f"{other}/data/faces"] == mounts_below(world.top)


@pytest.mark.parametrize(("first", "second"), [("faces", "faces/x"), ("faces/x", "faces")])
def test_mounts_do_not_nest(world, first, second):
    world.mount("faces", name=first)
    with pytest.raises(ConflictError, match="do not nest"):
        world.mount("faces", name=second)
    assert [world.target(first)] == mounts_below(world.workspace)


def put_file(target):
    with open(target, "wb"):
        pass


def put_full_directory(target):
    os.makedirs(f"{target}/mine")


def put_mount(target):
    os.mkdir(target)
    mount_command("-t", "tmpfs", "none", target)


def put_link(target):
    os.symlink("/", target)


@pytest.mark.parametrize("put", [put_file, put_full_directory, put_mount, put_link])
def test_what_is_in_the_way_stays(world, put):
    put(world.target())
    before = (os.lstat(world.target()), mounts_below(world.top))
    with pytest.raises(ConflictError, match="cannot mount at"):
        world.mount("faces")
    assert before == (os.lstat(world.target()), mounts_below(world.top))
    assert ((), {}) == (world.records(), workspaces.read(world.workspace).datasets)


def test_foreign_mount_over_ours_is_not_touched(world):
    world.mount("faces")
    mount_command("-t", "tmpfs", "none", world.target())
    with pytest.raises(ConflictError, match="foreign mount"):
        world.mount("faces")
    with pytest.raises(ConflictError, match="foreign mount lies over ours"):
        world.unmount("faces")
    assert 2 == len(mounts_below(world.workspace))
    assert [MountStatus.REPLACED] == [view.status for view in show(world, world.workspace).mounts]


def test_foreign_mount_in_place_of_ours_is_left_by_unmount(world):
    world.mount("faces")
    unmount_command(world.target())
    mount_command("-t", "tmpfs", "none", world.target())
    [result] = world.unmount("faces")
    assert (MountStatus.REPLACED, True) == (result.status, "not ours" in str(result.left))
    assert [world.target()] == mounts_below(world.workspace)
    assert () == world.records()


def test_foreign_mount_on_the_way_is_refused(world):
    put_mount(world.target("group"))
    with pytest.raises(ConflictError, match="is a mount"):
        world.mount("faces", name="group/faces")
    assert [] == os.listdir(world.target("group"))


def test_unmount_leaves_nothing_but_the_declaration(world):
    world.mount("faces")
    [result] = world.unmount("faces@1")
    assert (MountStatus.LIVE, None) == (result.status, result.left)
    assert ([], []) == (mounts_below(world.top), os.listdir(f"{world.workspace}/data"))
    assert [MountState.REMOVED] == [r.state for r in world.records(removed=True)]
    assert {"faces"} == set(workspaces.read(world.workspace).lock)


def test_unmount_can_forget(world):
    world.mount("faces")
    world.unmount("faces", forget=True)
    declared = workspaces.read(world.workspace)
    assert ({}, {}) == (declared.datasets, declared.lock)


def test_unmount_while_a_file_is_open(world):
    world.mount("faces")
    with open(f"{world.target()}/a", "rb") as stream:
        world.unmount("faces")
        assert stream.read() == b"x"
    assert [] == os.listdir(f"{world.workspace}/data")


def test_unmount_of_nothing_is_not_found(world):
    with pytest.raises(NotFoundError, match="not mounted"):
        world.unmount("faces")
    assert () == world.unmount(every=True)
    with pytest.raises(UsageError):
        world.unmount()


def test_data_that_became_a_link_sends_no_unmount_elsewhere(world):
    world.mount("faces", backend="symlink")
    elsewhere = os.path.join(os.path.dirname(world.workspace), "elsewhere")
    os.makedirs(f"{elsewhere}/faces")
    os.rename(f"{world.workspace}/data", f"{world.workspace}/moved")
    os.symlink(elsewhere, f"{world.workspace}/data")
    [result] = world.unmount("faces")
    assert "link" in str(result.left)
    assert ["faces"] == os.listdir(elsewhere)


def test_data_that_became_a_link_has_nothing_made_behind_it(world):
    elsewhere = os.path.join(os.path.dirname(world.workspace), "elsewhere")
    os.mkdir(elsewhere)
    os.rmdir(f"{world.workspace}/data")
    os.symlink(elsewhere, f"{world.workspace}/data")
    for backend in ("auto", "symlink", "declared"):
        with pytest.raises(ConflictError):
            world.mount("faces", backend=backend)
    assert [] == os.listdir(elsewhere)


@pytest.mark.parametrize("name", ["dataguard.lock", "dataguard.toml"])
def test_workspace_file_that_is_a_link_is_refused_before_anything_is_mounted(world, name):
    victim = os.path.join(os.path.dirname(world.workspace), "victim")
    path = f"{world.workspace}/{name}"
    if os.path.exists(path):
        os.rename(path, victim)
    else:
        os.close(os.open(victim, os.O_CREAT))
    os.symlink(victim, path)
    before = os.stat(victim).st_ctime_ns
    with pytest.raises(ConflictError, match=f"{name}: it is a link"):
        world.mount("faces")
    assert ([], before) == (mounts_below(world.workspace), os.stat(victim).st_ctime_ns)
    assert os.path.islink(path)


def test_unmount_twice_after_the_first_is_not_found(world):
    world.mount("faces")
    world.unmount("faces")
    with pytest.raises(NotFoundError):
        world.unmount("faces")


def test_after_a_reboot_records_are_stale_and_mount_restores_all(world):
    world.gold("cats", "cat")
    world.mount("faces")
    world.mount("cats")
    for target in mounts_below(world.workspace):
        unmount_command(target)
    later = world.after_reboot()
    statuses = {view.status for view in show(later, world.workspace).mounts}
    assert {MountStatus.STALE} == statuses
    results = later.mount().mounts
    assert {("faces", "remake"), ("cats", "remake")} == {(r.name, r.step) for r in results}
    assert {MountStatus.LIVE} == {view.status for view in show(later, world.workspace).mounts}


def test_after_a_reboot_unmount_cleans_up(world):
    world.mount("faces")
    unmount_command(world.target())
    [result] = world.after_reboot().unmount(every=True)
    assert MountStatus.STALE is result.status
    assert ([], ()) == (os.listdir(f"{world.workspace}/data"), world.records())


def test_restore_brings_back_the_lock_in_another_catalog(world):
    world.mount("faces")
    world.unmount(every=True)
    other, clock = open_catalog(f"{world.top}/second")
    with other:
        elsewhere = replace(world, catalog=other, clock=clock)
        replica = f"{world.top}/replica"
        os.makedirs(replica)
        elsewhere.register("faces", replica, "x")
        [result] = elsewhere.mount().mounts
        assert (replica, True) == (result.source, result.created)
        assert [world.workspace] == [record.directory for record in listed(elsewhere)]
        elsewhere.unmount(every=True)


def test_lock_that_contradicts_the_catalog_is_a_conflict(world):
    world.mount("faces")
    world.unmount(every=True)
    lock = workspaces.read(world.workspace).lock["faces"]
    workspaces.write_lock(world.workspace, [replace(lock, root=RootDigest("f" * 64))])
    with pytest.raises(ConflictError, match="the lock has"):
        world.mount()
    assert [] == mounts_below(world.top)


def test_restore_locks_what_is_declared_by_hand(world):
    workspaces.write_declaration(world.workspace, "people", "faces")
    [result] = world.mount().mounts
    declared = workspaces.read(world.workspace)
    assert (1, {"people": "faces"}, 1) == (
        result.version,
        declared.datasets,
        declared.lock["people"].version,
    )


def test_lock_decides_what_a_bare_name_means(world):
    workspaces.write_declaration(world.workspace, "faces", "faces")
    world.mount()
    world.unmount(every=True)
    os.makedirs(f"{world.top}/gold/new")
    world.register("faces", f"{world.top}/gold/new", "second")
    assert [1] == [result.version for result in world.mount().mounts]


@pytest.mark.parametrize("state", [VersionState.QUARANTINED, VersionState.WITHDRAWN])
def test_unusable_version_is_refused(world, state):
    world.set_state(world.catalog.version("faces", 1), state)
    with pytest.raises(ConflictError, match="bad labels"):
        world.mount("faces@1")
    assert [] == mounts_below(world.top)


def test_location_that_is_gone_is_unreachable(world):
    os.rename(f"{world.top}/gold/faces", f"{world.top}/gold/moved")
    with pytest.raises(StoreUnreachableError, match="no location"):
        world.mount("faces")


def test_replaced_source_is_mounted_anew(world):
    world.mount("faces")
    os.rename(f"{world.top}/gold/faces", f"{world.top}/gold/old")
    os.makedirs(f"{world.top}/gold/faces")
    [result] = world.mount("faces").mounts
    assert ("remake", []) == (result.step, os.listdir(world.target()))


def test_policy_that_wants_enforcement_refuses_a_link(world):
    rules = MountRules(required_guarantee=Guarantee.ENFORCED)
    strict = replace(world, policy=Policy(format="policy/1", name="strict", mount=rules))
    with pytest.raises(PolicyError, match="enforced"):
        strict.mount("faces", backend="symlink")
    assert [] == os.listdir(f"{world.workspace}/data")
    assert Guarantee.ENFORCED is strict.mount("faces").mounts[0].guarantee


def test_link_promises_nothing_and_goes_away(world):
    [result] = world.mount("faces", backend="symlink").mounts
    assert (Guarantee.NONE, {ProbeOutcome.SKIPPED}) == (
        result.guarantee,
        {step.result for step in result.probe},
    )
    assert f"{world.top}/gold/faces" == os.readlink(world.target())
    assert "remake" == world.mount("faces").mounts[0].step
    assert refuses_writes(world.target())


def test_mount_that_stays_writable_is_taken_down_and_found(world, monkeypatch):
    monkeypatch.setattr(syscalls, "make_read_only", lambda tree: None)  # noqa: ARG005
    report = world.mount("faces")
    [found] = report.findings
    assert (Code.DG402, os.fsencode(world.target())) == (found.code, found.path)
    assert Guarantee.NONE is report.mounts[0].guarantee
    assert ([], ()) == (mounts_below(world.top), world.records())
    assert {} == workspaces.read(world.workspace).datasets
    assert [Code.DG402] == [one.code for one in world.catalog.findings()]


def test_mount_that_became_writable_is_made_anew(world):
    world.mount("faces")
    mount_command("-o", "remount,bind,rw", world.target())
    assert [MountStatus.WRITABLE] == [v.status for v in show(world, world.workspace).mounts]
    assert "remake" == world.mount("faces").mounts[0].step
    assert refuses_writes(world.target())


def test_dry_run_changes_nothing(world):
    [result] = world.mount("faces", dry_run=True).mounts
    assert ("make", False, ()) == (result.step, result.created, result.probe)
    assert ([], (), {}) == (
        os.listdir(f"{world.workspace}/data"),
        world.records(),
        workspaces.read(world.workspace).datasets,
    )
    world.mount("faces")
    world.unmount("faces", dry_run=True)
    assert [world.target()] == mounts_below(world.top)


def test_workspace_inside_the_dataset_is_refused(world):
    inside = init(world, f"{world.top}/big/ws", f"{world.top}/out-big").record.directory
    world.register("big", f"{world.top}/big", "big")
    with pytest.raises(ConflictError, match="inside the dataset"):
        world.mount("big", workspace=inside)
    assert [] == os.listdir(f"{inside}/data")


class KilledError(Exception):
    """Stands for a kill: nothing catches it."""


KILL_POINTS = [
    (mounting.points, "make_parents", False),
    (bind.points, "make_point", False),
    (bind, "_attach_read_only", False),
    (bind, "_attach_read_only", True),
    (mounting, "prove", False),
    (mounting, "prove", True),
    (workspaces, "write_declaration", False),
    (workspaces, "write_lock", False),
    (workspaces, "write_lock", True),
]


@pytest.fixture(params=KILL_POINTS, ids=lambda point: f"{point[1]}-{point[2]}")
def killed_mount(world, monkeypatch, request):
    """A world in which a mount was killed before or after a function."""
    module, function, after = request.param
    real = getattr(module, function)

    def killed(*arguments, **options):
        if after:
            real(*arguments, **options)
        raise KilledError

    world.gold("cats", "cat")
    monkeypatch.setattr(module, function, killed)
    with pytest.raises(KilledError):
        world.mount("faces")
    monkeypatch.undo()
    return world


@pytest.mark.parametrize("again", ["mount", "mount another", "unmount"])
def test_killed_mount_is_made_good(killed_mount, again):
    finish(killed_mount, again)


def finish(world, again):
    if again == "mount":
        world.mount("faces")
        assert [world.target()] == mounts_below(world.top)
        assert [MountStatus.LIVE] == [v.status for v in show(world, world.workspace).mounts]
        assert {"faces"} == set(workspaces.read(world.workspace).lock)
        world.unmount("faces")
    elif again == "mount another":
        world.mount("cats")
        assert world.target("cats") in mounts_below(world.top)
        assert {MountState.ACTIVE} == {record.state for record in world.records()}
        world.unmount(every=True)
    else:
        world.unmount(every=True)
    assert ([], []) == (mounts_below(world.top), os.listdir(f"{world.workspace}/data"))


@pytest.mark.parametrize("function", ["undo", "clear"])
def test_killed_unmount_is_made_good(world, monkeypatch, function):
    world.mount("faces")

    def killed(*_):
        raise KilledError

    monkeypatch.setattr(bind.BindBackend if function == "undo" else bind.points, function, killed)
    with pytest.raises(KilledError):
        world.unmount("faces")
    monkeypatch.undo()
    assert [MountState.REMOVING] == [record.state for record in world.records()]
    finish(world, "unmount")


def test_sigkill_during_mount_leaves_a_state_that_converges(world):
    child = os.fork()
    if child == 0:
        mounting.prove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        catalog, clock = open_catalog(world.top)
        replace(world, catalog=catalog, clock=clock).mount("faces")
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert signal.SIGKILL == os.WTERMSIG(status)
    assert [MountState.MAKING] == [record.state for record in world.records()]
    assert "adopt" == world.mount("faces").mounts[0].step


def test_init_keeps_what_is_there_and_may_be_repeated(world):
    place = f"{world.top}/old"
    os.makedirs(f"{place}/data")
    with open(f"{place}/data/mine", "w", encoding="utf-8") as stream:
        stream.write("notes")
    first = init(world, place, "out")
    second = init(world, place, f"{place}/out")
    assert (True, False) == (first.created, second.created)
    assert (f"{place}/out", True) == (first.record.outputs, os.path.isdir(f"{place}/out"))
    with open(f"{place}/data/mine", encoding="utf-8") as stream:
        assert stream.read() == "notes"
    with open(f"{place}/dataguard.toml", encoding="utf-8") as stream:
        assert stream.read() == '[workspace]\noutputs = "out"\n'


def test_init_with_other_outputs_is_a_conflict_naming_both(world):
    with pytest.raises(ConflictError) as caught:
        init(world, world.workspace, f"{world.top}/elsewhere")
    assert f"{world.top}/out-ws" in caught.value.message
    assert f"{world.top}/elsewhere" in caught.value.message


@pytest.mark.parametrize("way", ["plain", "dots", "link", "bind", "bind of a part"])
def test_outputs_inside_gold_are_refused(world, way):
    gold, alias = f"{world.top}/gold/faces", f"{world.top}/alias"
    os.mkdir(alias)
    match way:
        case "plain":
            place = f"{gold}/out"
        case "dots":
            place = f"{alias}/../gold/faces/out"
        case "link":
            os.symlink(gold, f"{world.top}/shortcut")
            place = f"{world.top}/shortcut/out"
        case "bind":
            mount_command("--bind", gold, alias)
            place = f"{alias}/out"
        case _:
            mount_command("--bind", f"{gold}/dir", alias)
            place = f"{alias}/out"
    with pytest.raises(ConflictError, match="inside gold"):
        init(world, f"{world.top}/new", place)
    assert ["a", "dir"] == sorted(os.listdir(gold))
    assert not os.path.exists(f"{world.top}/new")


def test_workspace_inside_gold_is_refused(world):
    with pytest.raises(ConflictError, match=r"the workspace .* is inside gold"):
        init(world, f"{world.top}/gold/faces/ws", f"{world.top}/out")


def test_outputs_inside_data_are_refused(world):
    with pytest.raises(UsageError, match="where mounts appear"):
        init(world, f"{world.top}/new", "data/out")
    with pytest.raises(ConflictError, match="data of a workspace"):
        init(world, f"{world.top}/new", f"{world.workspace}/data/out")
    with pytest.raises(ConflictError, match="data of a workspace"):
        init(world, f"{world.workspace}/data/new", f"{world.top}/out")


def test_something_in_the_way_of_init_is_told(world):
    os.mkdir(f"{world.top}/new")
    put_file(f"{world.top}/new/data")
    with pytest.raises(ConflictError, match="cannot create"):
        init(world, f"{world.top}/new", f"{world.top}/out")
    os.makedirs(f"{world.top}/newer/dataguard.toml")
    with pytest.raises(ConfigurationError, match="cannot read"):
        init(world, f"{world.top}/newer", f"{world.top}/out")


def test_outputs_may_be_in_a_bucket(world):
    assert "s3://bucket/out" == init(world, f"{world.top}/new", "s3://bucket/out").record.outputs


def test_remove_unmounts_and_forgets_but_keeps_files(world):
    world.mount("faces")
    [result] = remove(world, world.workspace)
    assert ("faces", [], ()) == (result.name, mounts_below(world.top), listed(world))
    assert ["data", "dataguard.lock", "dataguard.toml"] == sorted(os.listdir(world.workspace))
    assert os.path.isdir(f"{world.top}/out-ws")


def test_remove_of_no_workspace_is_not_found(world):
    with pytest.raises(NotFoundError):
        remove(world, f"{world.top}/gold")


def test_ordinary_user_gets_a_declared_mount():
    def as_ordinary_user(top):
        catalog, clock = open_catalog(top)
        with catalog:
            user = World(catalog, clock, top=top)
            user.gold("faces")
            user.init()
            [result] = user.mount("faces").mounts
            [view] = show(user, user.workspace).mounts
            empty = os.listdir(user.target())
            user.unmount("faces")
            left = os.listdir(f"{user.workspace}/data")
            return f"{result.backend} {result.guarantee} {view.status} {empty} {left}"

    with tempfile.TemporaryDirectory() as top, swept(top):
        os.chmod(top, 0o777)
        answer = as_user(lambda: as_ordinary_user(top))
    assert answer == "declared declared declared [] []"
