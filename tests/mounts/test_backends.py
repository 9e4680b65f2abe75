"""What every backend keeps to, and which one is chosen."""

from __future__ import annotations

import os

import pytest
from mountrecords import record_of

from dataguard.errors import ConflictError, StoreUnreachableError, UsageError
from dataguard.model.mount import Backend
from dataguard.model.mountpoint import TargetKind
from dataguard.mounts.aliases import aliases_of
from dataguard.mounts.choose import backend_of, choose
from dataguard.mounts.holding import holder
from dataguard.mounts.view import look, mounted_between
from support.mountcleanup import as_user, mount_command, mounts_below, needs_mounts

EVERY = [pytest.param(Backend.BIND, marks=needs_mounts), Backend.SYMLINK, Backend.DECLARED]


@pytest.fixture
def target(area):
    return str(area / "data" / "faces")


@pytest.mark.parametrize("backend", EVERY)
def test_undo_after_make_leaves_an_empty_directory_at_most(area, target, backend):
    backend_of(backend).make(str(area / "gold"), target)
    record = record_of(area / "gold", target, backend)
    backend_of(backend).undo(record)
    backend_of(backend).undo(record)
    assert ([], True) == (
        mounts_below(area),
        look(target).kind in (TargetKind.ABSENT, TargetKind.EMPTY),
    )
    assert b"hello\n" == (area / "gold" / "a").read_bytes()


@pytest.mark.parametrize("backend", EVERY)
def test_file_at_the_target_stays(area, target, backend):
    (area / "data" / "faces").write_bytes(b"mine")
    with pytest.raises(ConflictError):
        backend_of(backend).make(str(area / "gold"), target)
    backend_of(backend).undo(record_of(area / "gold", target, backend))
    assert b"mine" == (area / "data" / "faces").read_bytes()


@pytest.mark.parametrize("backend", EVERY)
def test_source_that_is_not_there_is_unreachable(area, target, backend):
    with pytest.raises(StoreUnreachableError):
        backend_of(backend).make(str(area / "nowhere"), target)


def test_link_that_somebody_changed_stays(area, target):
    os.symlink("/somewhere/else", target)
    backend_of(Backend.SYMLINK).undo(record_of(area / "gold", target, Backend.SYMLINK))
    assert "/somewhere/else" == os.readlink(target)


@needs_mounts
def test_root_gets_bind():
    assert (Backend.BIND, None) == (choose().backend.name, choose().weaker_because)


@needs_mounts
def test_ordinary_user_gets_declared_and_the_reason():
    def chosen():
        choice = choose()
        return f"{choice.backend.name} {choice.backend.guarantee} {choice.weaker_because}"

    answer = as_user(chosen)
    assert answer.startswith("declared declared bind: ")
    assert answer.endswith("has no CAP_SYS_ADMIN")


@needs_mounts
def test_ordinary_user_gets_a_link_with_best_effort():
    def chosen():
        backend = choose(best_effort=True).backend
        return f"{backend.name} {backend.guarantee}"

    assert as_user(chosen) == "symlink none"


@needs_mounts
def test_named_backend_that_cannot_work_is_a_conflict():
    answer = as_user(lambda: choose("bind"))
    assert answer.startswith("ConflictError: backend `bind` does not work here")


@pytest.mark.parametrize("name", ["overlay", "cas", "fuse"])
def test_backend_that_is_not_built_is_a_conflict(name):
    with pytest.raises(ConflictError, match="built without"):
        choose(name)


def test_unknown_backend_is_a_usage_error():
    with pytest.raises(UsageError, match="no mount backend"):
        choose("nfs")


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
