"""Read-only bind mounts as root: nothing gets through, nothing stays behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest
from mountrecords import record_of

from dataguard.errors import ConflictError, StoreUnreachableError
from dataguard.model.mount import Backend
from dataguard.mounts import mountinfo, syscalls
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.probe import probe
from support.mountcleanup import (
    as_user,
    fingerprint,
    mount_command,
    mounts_below,
    needs_mounts,
)

pytestmark = needs_mounts

FS_IOC_SETFLAGS = 0x40086602


@pytest.fixture
def target(area):
    return str(area / "data" / "faces")


@pytest.fixture
def mounted(area, target):
    BindBackend().make(str(area / "gold"), target)
    return target


def opened(flags):
    return lambda top: os.close(os.open(f"{top}/a", flags))


def set_flags(top):
    descriptor = os.open(f"{top}/a", os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, b"\0" * 8)
    finally:
        os.close(descriptor)


def reopen(top):
    descriptor = os.open(f"{top}/a", os.O_RDONLY)
    try:
        os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR))
    finally:
        os.close(descriptor)


def outside(top):
    return os.path.join(os.path.dirname(top), "out")


MUTATIONS = {
    "open to write": opened(os.O_WRONLY),
    "open to append": opened(os.O_WRONLY | os.O_APPEND),
    "open to truncate": opened(os.O_WRONLY | os.O_TRUNC),
    "reopen through proc": reopen,
    "create": lambda top: os.close(os.open(f"{top}/new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
    "unnamed file": lambda top: os.close(os.open(top, os.O_TMPFILE | os.O_WRONLY)),
    "truncate": lambda top: os.truncate(f"{top}/a", 0),
    "mkdir": lambda top: os.mkdir(f"{top}/new"),
    "rmdir": lambda top: os.rmdir(f"{top}/dir"),
    "unlink": lambda top: os.unlink(f"{top}/a"),
    "rename": lambda top: os.rename(f"{top}/a", f"{top}/z"),
    "rename in": lambda top: os.rename(outside(top), f"{top}/a"),
    "rename out": lambda top: os.rename(f"{top}/a", outside(top)),
    "link": lambda top: os.link(f"{top}/a", f"{top}/z"),
    "link out": lambda top: os.link(f"{top}/a", f"{outside(top)}2"),
    "symlink": lambda top: os.symlink("a", f"{top}/z"),
    "mkfifo": lambda top: os.mkfifo(f"{top}/z"),
    "chmod": lambda top: os.chmod(f"{top}/a", 0o777),
    "chown": lambda top: os.chown(f"{top}/a", 1, 1),
    "utime": lambda top: os.utime(f"{top}/a", (1, 1)),
    "setxattr": lambda top: os.setxattr(f"{top}/a", "user.x", b"1"),
    "removexattr": lambda top: os.removexattr(f"{top}/a", "user.x"),
    "set flags": set_flags,
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_root_cannot_change_gold_through_the_mount(area, mounted, name):
    (area / "data" / "out").write_bytes(b"x")
    before = fingerprint(area / "gold")
    with pytest.raises(OSError, match=r"Read-only|cross-device") as caught:
        MUTATIONS[name](mounted)
    assert caught.value.errno in (errno.EROFS, errno.EXDEV)
    assert before == fingerprint(area / "gold")


def test_what_is_made_is_the_source(area, target):
    made = BindBackend().make(str(area / "gold"), target)
    gold = os.stat(area / "gold")
    [point] = mountinfo.read().at(target)
    assert (gold.st_dev, gold.st_ino, point.mount_id) == (
        made.root_device,
        made.root_inode,
        made.mount_id,
    )


def test_setuid_and_devices_are_off(mounted):
    flags = os.statvfs(mounted).f_flag
    wanted = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV
    assert wanted == flags & wanted


def test_submount_is_read_only_too(area, target):
    mount_command("-t", "tmpfs", "none", area / "gold" / "dir")
    (area / "gold" / "dir" / "c").write_bytes(b"on the submount")
    BindBackend().make(str(area / "gold"), target)
    assert b"on the submount" == (area / "data" / "faces" / "dir" / "c").read_bytes()
    with pytest.raises(OSError, match="Read-only") as caught:
        open(f"{target}/dir/c", "ab").close()
    assert errno.EROFS == caught.value.errno
    assert probe(target, Backend.BIND).proves_read_only


def test_later_submount_does_not_appear(area, target):
    shared = area / "gold"
    mount_command("--bind", shared, shared)
    mount_command("--make-shared", shared)
    BindBackend().make(str(shared), target)
    mount_command("-t", "tmpfs", "none", shared / "dir")
    (shared / "dir" / "late").write_bytes(b"")
    assert [b"b"] == os.listdir(os.fsencode(f"{target}/dir"))
    assert [target] == mounts_below(target)


def test_target_on_a_shared_mount_works(area, target):
    mount_command("--bind", area / "data", area / "data")
    mount_command("--make-shared", area / "data")
    BindBackend().make(str(area / "gold"), target)
    assert probe(target, Backend.BIND).proves_read_only


def test_undo_twice_leaves_nothing(area, mounted):
    record = record_of(area / "gold", mounted)
    BindBackend().undo(record)
    BindBackend().undo(record)
    assert ([], []) == (mounts_below(area), os.listdir(mounted))


def test_undo_takes_stacked_mounts_of_ours(area, mounted):
    BindBackend().make(str(area / "gold"), mounted)
    assert 2 == len(mounts_below(mounted))
    BindBackend().undo(record_of(area / "gold", mounted))
    assert [] == mounts_below(mounted)


def test_undo_of_a_busy_mount_works(area, mounted):
    with open(f"{mounted}/a", "rb") as stream:
        BindBackend().undo(record_of(area / "gold", mounted))
        assert b"hello\n" == stream.read()
    assert [] == mounts_below(mounted)


def test_undo_leaves_a_foreign_mount(area, mounted):
    mount_command("-t", "tmpfs", "none", mounted)
    with pytest.raises(ConflictError, match="something else"):
        BindBackend().undo(record_of(area / "gold", mounted))
    assert 2 == len(mounts_below(mounted))


def test_link_on_the_way_to_the_target_is_refused(area):
    (area / "elsewhere").mkdir()
    os.symlink(area / "elsewhere", area / "data" / "group")
    with pytest.raises(ConflictError, match="link"):
        BindBackend().make(str(area / "gold"), str(area / "data" / "group" / "faces"))
    assert [] == mounts_below(area)


def test_link_as_target_is_refused(area, target):
    os.symlink(area / "gold", target)
    with pytest.raises(ConflictError, match="in the way"):
        BindBackend().make(str(area / "gold"), target)
    assert [] == mounts_below(area)


def test_missing_source_is_unreachable(area, target):
    with pytest.raises(StoreUnreachableError, match="cannot open"):
        BindBackend().make(str(area / "nowhere"), target)


def test_ordinary_user_hears_why_not():
    assert as_user(BindBackend().unavailable).endswith("has no CAP_SYS_ADMIN")


def test_capability_without_the_system_call_is_told(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(syscalls, "_call", refuse)
    assert "Linux 5.12" in str(BindBackend().unavailable())


@pytest.mark.parametrize("steps", [1, 2])
def test_kill_between_the_calls_leaves_nothing(area, target, steps):
    os.mkdir(target)
    program = """
import os, sys, time
from dataguard.mounts import syscalls
tree = syscalls.clone_tree(os.open(sys.argv[1], os.O_PATH))
if sys.argv[3] == "2":
    syscalls.make_read_only(tree)
print("ready", flush=True)
time.sleep(60)
"""
    before = mountinfo.read()
    child = subprocess.Popen(
        [sys.executable, "-c", program, area / "gold", target, str(steps)], stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert b"ready\n" == child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    mine = {point.target for point in before.points}
    assert ([], []) == (mounts_below(area), os.listdir(target))
    assert all(str(area) not in name for name in mine)
