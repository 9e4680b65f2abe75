"""One test for each backend's sentence, which it has as its docstring."""

from __future__ import annotations

import ctypes
import os

import pytest
from mountrecords import record_of
from test_bind import MUTATIONS

from dataguard.model.mount import Backend
from dataguard.model.mountpoint import served_as
from dataguard.mounts import mountinfo
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.cas import CasBackend
from dataguard.mounts.container import ContainerBackend
from dataguard.mounts.declared import DeclaredBackend
from dataguard.mounts.fuse import FuseBackend
from dataguard.mounts.overlay import OverlayBackend
from dataguard.mounts.symlink import SymlinkBackend
from support.cachedtrees import cached_tree, needs_images
from support.mountcleanup import fingerprint, in_child, mounts_below, needs_fuse, needs_mounts

BOUNDING_SET_DROP, CAP_SYS_ADMIN = 24, 21
MS_REMOUNT_BIND = 0x20 | 0x1000


@pytest.fixture
def target(area):
    (area / "data" / "out").write_bytes(b"x")
    return str(area / "data" / "faces")


def undo_the_mount(target):
    """The ways of an administrator: remount writable, unmount."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = os.fsencode(target)
    yield libc.mount(None, path, None, ctypes.c_ulong(MS_REMOUNT_BIND), None)
    yield libc.umount2(path, 2)


def attack(target):
    """Try everything as root without CAP_SYS_ADMIN; return what succeeded."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert 0 == libc.prctl(BOUNDING_SET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
    drop_capabilities(libc)
    passed = [name for name, act in MUTATIONS.items() if not refused(act, target)]
    return passed + [f"way {n}" for n, code in enumerate(undo_the_mount(target)) if code == 0]


def refused(act, target):
    try:
        act(target)
    except OSError:
        return True
    return False


def drop_capabilities(libc):
    """Take CAP_SYS_ADMIN out of every set of this process, see capset(2)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert 0 == libc.capget(header, data)
    for index in range(3):
        data[index] &= ~(1 << CAP_SYS_ADMIN)
    assert 0 == libc.capset(header, data)


def unchanged_by_attack(area, target):
    before = fingerprint(area / "gold")
    passed = in_child(lambda: attack(target))
    return ("[]", before) == (passed, fingerprint(area / "gold"))


@needs_mounts
def test_guarantee_of_bind(area, target):
    """through this path nobody without CAP_SYS_ADMIN can change the dataset, root's ordinary
    writes included; other paths to the same files are not covered
    """
    BindBackend().make(str(area / "gold"), target)
    assert unchanged_by_attack(area, target)
    (area / "gold" / "a").write_bytes(b"by another path")
    with open(f"{target}/a", "rb") as stream:
        assert b"by another path" == stream.read()


@needs_mounts
def test_guarantee_of_overlay(area, target):
    """through this path nobody without CAP_SYS_ADMIN can change the dataset, root's ordinary
    writes included, and the mount names itself; other paths to the same files are not covered
    """
    OverlayBackend().make(str(area / "gold"), target)
    assert unchanged_by_attack(area, target)
    gold = os.stat(area / "gold")
    assert served_as(gold.st_dev, gold.st_ino) == mountinfo.read().at(target)[-1].source
    (area / "gold" / "a").write_bytes(b"by another path")
    with open(f"{target}/a", "rb") as stream:
        assert b"by another path" == stream.read()


def contents(directory):
    files = [place for place in directory.rglob("*") if place.is_file()]
    return {place: (place.stat().st_mode, place.read_bytes()) for place in files}


@needs_images
def test_guarantee_of_cas(area, target):
    """through this path nobody without CAP_SYS_ADMIN can change the dataset, root's ordinary
    writes included; what is read are this node's copies, each verified when it was filled, which
    root can change
    """
    image = cached_tree(area / "gold", area / "cache").image
    CasBackend().make(image, target)
    before = contents(area / "cache")
    assert unchanged_by_attack(area, target)
    assert before == contents(area / "cache")
    (area / "gold" / "a").write_bytes(b"no copy of it")
    with open(f"{target}/a", "rb") as stream:
        assert b"hello\n" == stream.read()
    copy = next(place for place in (area / "cache" / "xxh3-128").rglob("*") if place.is_file())
    copy.write_bytes(b"by root")


@needs_mounts
def test_guarantee_of_container(area, target):
    """mounted read-only by the container's runtime and checked, not made, here: through this path
    nobody in the container without CAP_SYS_ADMIN can change the dataset; other paths to the same
    files are not covered
    """
    BindBackend().make(str(area / "gold"), target)  # as the runtime does
    record = record_of(area / "gold", target, Backend.CONTAINER)
    made = ContainerBackend().make(str(area / "gold"), target)
    assert (record.root_device, record.root_inode) == (made.root_device, made.root_inode)
    assert unchanged_by_attack(area, target)
    ContainerBackend().undo(record)
    assert [target] == mounts_below(area)


@needs_mounts
@needs_fuse
def test_guarantee_of_fuse(area, target):
    """through this path nobody without CAP_SYS_ADMIN can change the dataset, and each write that
    permissions would allow is refused and noted with its process; it ends with its server, and
    other paths to the same files are not covered
    """
    backend = FuseBackend(str(area / "state"))
    backend.make(str(area / "gold"), target)
    assert unchanged_by_attack(area, target)
    noted = backend.attempts(target)
    assert {"open", "create", "truncate", "mkdir", "rmdir", "unlink", "rename", "link"} <= {
        attempt.operation for attempt in noted
    }
    assert 1 == len({attempt.pid for attempt in noted})
    assert {0} == {attempt.uid for attempt in noted}


def test_guarantee_of_declared(area, target):
    """recorded, and mounted read-only for a job inside `run` and `shell` where the host lets
    them; outside of them nothing is mounted or enforced
    """
    DeclaredBackend().make(str(area / "gold"), target)
    assert [] == os.listdir(target)
    (area / "gold" / "a").write_bytes(b"nobody keeps me")


def test_guarantee_of_symlink(area, target):
    """a symlink: whoever may write the dataset can write through this path"""
    SymlinkBackend().make(str(area / "gold"), target)
    with open(f"{target}/a", "wb") as stream:
        stream.write(b"through the link")
    assert b"through the link" == (area / "gold" / "a").read_bytes()
