"""Each backend keeps the contract; what they tell of places and mounts."""

from __future__ import annotations

import os

import pytest
from mountrecords import record_of

from contracts.mounting import MountContract
from dataguard.errors import ConflictError
from dataguard.model.mount import Backend, ProbeOutcome
from dataguard.model.mountpoint import served_as
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.container import ContainerBackend
from dataguard.mounts.declared import DeclaredBackend
from dataguard.mounts.holding import holder
from dataguard.mounts.overlay import OverlayBackend
from dataguard.mounts.probe import OPERATIONS
from dataguard.mounts.symlink import SymlinkBackend
from dataguard.mounts.view import mounted_between
from support.mountcleanup import mount_command, needs_mounts

SKIPPED = dict.fromkeys(OPERATIONS, ProbeOutcome.SKIPPED)


@needs_mounts
class TestBind(MountContract):
    @pytest.fixture
    def backend(self):
        return BindBackend()


@needs_mounts
class TestOverlay(MountContract):
    @pytest.fixture
    def backend(self):
        return OverlayBackend()

    def test_mount_inside_the_source_is_refused(self, area, backend, target):
        mount_command("-t", "tmpfs", "none", area / "gold" / "dir")
        with pytest.raises(ConflictError, match="is mounted inside it"):
            backend.make(str(area / "gold"), target)

    def test_target_that_is_not_empty_is_refused(self, area, backend, target):
        os.makedirs(f"{target}/mine")
        with pytest.raises(ConflictError, match="is not empty"):
            backend.make(str(area / "gold"), target)

    def test_table_of_mounts_says_whose_it_is(self, area, backend, target):
        backend.make(str(area / "gold"), target)
        gold = os.stat(area / "gold")
        assert served_as(gold.st_dev, gold.st_ino) == mountinfo.read().at(target)[-1].source


class TestSymlink(MountContract):
    table = SKIPPED

    @pytest.fixture
    def backend(self):
        return SymlinkBackend()


class TestDeclared(MountContract):
    visible, table = False, SKIPPED

    @pytest.fixture
    def backend(self):
        return DeclaredBackend()


class Runtime(ContainerBackend):
    """A container's runtime and the check of what it did, in one."""

    def unavailable(self):
        return None

    def make(self, source, target):
        BindBackend().make(source, target)
        return super().make(source, target)

    def undo(self, record):
        super().undo(record)
        BindBackend().undo(record)


@needs_mounts
class TestContainer(MountContract):
    @pytest.fixture
    def backend(self):
        return Runtime()


@pytest.fixture
def target(area):
    return str(area / "data" / "faces")


def test_link_that_somebody_changed_stays(area, target):
    os.symlink("/somewhere/else", target)
    SymlinkBackend().undo(record_of(area / "gold", target, Backend.SYMLINK))
    assert "/somewhere/else" == os.readlink(target)


@needs_mounts
def test_place_is_known_by_the_path_of_a_bind_mount(area):
    (area / "alias").mkdir()
    mount_command("--bind", area / "gold" / "dir", area / "alias")
    inside = str(area / "alias" / "new" / "out")
    assert f"{area}/gold/dir/new/out" in aliases_of(inside)
    assert str(area / "gold") == holder(inside, [str(area / "data"), str(area / "gold")])


@needs_mounts
def test_place_below_a_mounted_parent_is_known(area):
    (area / "alias").mkdir()
    mount_command("--bind", area / "gold", area / "alias")
    assert f"{area}/alias/dir" in aliases_of(str(area / "gold" / "dir"))


def test_place_is_known_through_links_and_dots(area):
    os.symlink(area / "gold" / "dir", area / "shortcut")
    gold = [str(area / "gold")]
    assert gold[0] == holder(str(area / "shortcut" / "x"), gold)
    assert gold[0] == holder(str(area / "data" / ".." / "gold" / "x"), gold)
    assert holder(str(area / "gold2"), gold) is None


@needs_mounts
def test_mount_on_the_way_is_found(area):
    (area / "data" / "group" / "x").mkdir(parents=True)
    assert mounted_between(str(area / "data"), str(area / "data" / "group" / "x")) is None
    mount_command("-t", "tmpfs", "none", area / "data" / "group")
    found = mounted_between(str(area / "data"), str(area / "data" / "group" / "x"))
    assert str(area / "data" / "group") == found
