"""Mounts that a server shows: what it refuses and notes, and what it leaves when it dies."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import time
from functools import partial

import pytest
from mountrecords import record_of

from contracts.mounting import MountContract
from dataguard.core.mountplan import status
from dataguard.errors import ConflictError, DataguardError
from dataguard.model.mount import Backend, ProbeOutcome
from dataguard.model.mountpoint import MountStatus
from dataguard.mounts import attempts, fuse
from dataguard.mounts.fuse import FuseBackend
from dataguard.mounts.fuseserver import open_beneath
from dataguard.mounts.probe import OPERATIONS, probe
from dataguard.mounts.view import look
from support.mountcleanup import (
    as_user,
    fingerprint,
    in_child,
    mount_command,
    mounts_below,
    needs_fuse,
    needs_mounts,
    swept,
)
from support.namespaces import become

pytestmark = [needs_mounts, needs_fuse]

USER = pwd.getpwnam("nobody").pw_uid  # fusermount3 wants a user with a name
NOT_ASKED = ("mountinfo", "statvfs", "rename", "unlink", "rmdir")


@pytest.fixture
def backend(area):
    return FuseBackend(str(area / "state"))


@pytest.fixture
def target(area):
    return str(area / "data" / "faces")


@pytest.fixture
def mounted(area, backend, target):
    backend.make(str(area / "gold"), target)
    return target


def server_of(area):
    [place] = (area / "state" / "fuse").iterdir()
    return int((place / "server.pid").read_text().split()[0])


def ended(pid):
    """Whether a process, our own child perhaps, has ended; asked for ten seconds."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stream:
                if stream.read().rsplit(b")", 1)[1].split()[0] == b"Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


class TestFuse(MountContract):
    table = dict.fromkeys(OPERATIONS, ProbeOutcome.REFUSED) | dict.fromkeys(
        NOT_ASKED, ProbeOutcome.SKIPPED
    )

    @pytest.fixture
    def backend(self, area):
        return FuseBackend(str(area / "state"))


ATTEMPTS = {
    "open": lambda top: open(f"{top}/a", "ab").close(),
    "create": lambda top: open(f"{top}/new", "xb").close(),
    "truncate": lambda top: os.truncate(f"{top}/a", 0),
    "mkdir": lambda top: os.mkdir(f"{top}/new"),
    "rmdir": lambda top: os.rmdir(f"{top}/dir"),
    "unlink": lambda top: os.unlink(f"{top}/a"),
    "rename": lambda top: os.rename(f"{top}/a", f"{top}/z"),
    "link": lambda top: os.link(f"{top}/a", f"{top}/z"),
    "symlink": lambda top: os.symlink("a", f"{top}/z"),
    "mknod": lambda top: os.mkfifo(f"{top}/z"),
    "chmod": lambda top: os.chmod(f"{top}/a", 0o777),
    "chown": lambda top: os.chown(f"{top}/a", 1, 1),
    "utimens": lambda top: os.utime(f"{top}/a", (1, 1)),
    "setxattr": lambda top: os.setxattr(f"{top}/a", "user.x", b"1"),
    "removexattr": lambda top: os.removexattr(f"{top}/a", "user.x"),
}


@pytest.mark.parametrize("operation", ATTEMPTS)
def test_root_is_refused_and_named(area, backend, mounted, operation):
    before = fingerprint(area / "gold")
    with pytest.raises(OSError, match="Read-only") as caught:
        ATTEMPTS[operation](mounted)
    [attempt] = backend.attempts(mounted)
    assert (errno.EROFS, operation, os.getpid(), 0) == (
        caught.value.errno,
        attempt.operation,
        attempt.pid,
        attempt.uid,
    )
    assert "pytest" in attempt.command or "python" in attempt.command
    assert before == fingerprint(area / "gold")


def test_process_that_has_ended_since_is_named_all_the_same(backend, mounted):
    words = ["sh", "-c", f"echo x >'{mounted}/dir/b'"]
    assert 0 != subprocess.run(words, check=False, capture_output=True).returncode
    [attempt] = backend.attempts(mounted)
    assert ("open", b"dir/b", " ".join(words)) == (attempt.operation, attempt.path, attempt.command)


def test_path_of_an_attempt_is_kept_byte_for_byte(backend, mounted):
    name = os.fsencode(mounted) + b"/\xff\n new"
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir(name)
    assert [b"\xff\n new"] == [attempt.path for attempt in backend.attempts(mounted)]


def test_probe_is_not_taken_for_an_attempt(backend, mounted):
    with attempts.probing(backend.attempts_file(mounted), os.getpid()):
        assert probe(mounted, Backend.FUSE).proves_read_only
    assert () == backend.attempts(mounted)


def test_attempts_outlive_the_mount_until_they_are_taken(area, backend, mounted):
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir(f"{mounted}/new")
    backend.undo(record_of(area / "gold", mounted, Backend.FUSE))
    assert ["mkdir"] == [attempt.operation for attempt in backend.attempts(mounted)]
    backend.forget(mounted)
    assert () == backend.attempts(mounted)


@pytest.fixture
def open_area():
    """A gold tree and a place to mount on that every user can reach."""
    with tempfile.TemporaryDirectory() as top, swept(top):
        os.chmod(top, 0o755)
        os.mkdir(f"{top}/gold")
        with open(f"{top}/gold/a", "wb") as stream:
            stream.write(b"hello\n")
        yield top


def test_ordinary_user_reads_what_root_mounted_and_is_refused(open_area):
    backend, target = FuseBackend(f"{open_area}/state"), f"{open_area}/faces"
    backend.make(f"{open_area}/gold", target)
    assert "b'hello\\n'" == as_user(lambda: _content(f"{target}/a"))
    assert "PermissionError" in as_user(lambda: _content(f"{target}/a", "ab"))


def test_user_whom_an_access_control_list_refuses_is_refused_by_the_mount_too(open_area):
    backend, target = FuseBackend(f"{open_area}/state"), f"{open_area}/faces"
    entries = ((1, 6, -1), (2, 0, USER), (4, 4, -1), (0x10, 4, -1), (0x20, 4, -1))  # acl(5)
    listed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        name = "system.posix_acl_access"
        os.setxattr(f"{open_area}/gold/a", name, struct.pack("<I", 2) + listed)
    except OSError as err:
        pytest.skip(f"no access control lists here: {err.strerror}")
    backend.make(f"{open_area}/gold", target)
    for place in (f"{open_area}/gold", target):
        told = as_user(partial(_content, f"{place}/a"), uid=USER)
        assert "PermissionError" in told
    assert b"hello\n" == _content(f"{target}/a")


@pytest.mark.skipif(shutil.which("fusermount3") is None, reason="fusermount3 is not installed")
def test_ordinary_user_mounts_where_the_device_is_open_to_users(open_area):
    for name in ("state", "data"):
        os.mkdir(f"{open_area}/{name}")
        os.chown(f"{open_area}/{name}", USER, USER)
    answer = in_child(lambda: _as_owner_of_a_mount(open_area))
    assert "b'hello\\n' Read-only file system mkdir EMPTY" == answer


def _as_owner_of_a_mount(top):
    """Mount, read, try to write and unmount as an ordinary user with a /dev/fuse for all."""
    _open_device(top)
    become(USER, top)
    backend, target = FuseBackend(f"{top}/state"), f"{top}/data/faces"
    assert backend.unavailable() is None, backend.unavailable()
    backend.make(f"{top}/gold", target)
    try:
        found = _content(f"{target}/a")
        with pytest.raises(OSError, match="Read-only") as refused:
            os.mkdir(f"{target}/new")
        [attempt] = backend.attempts(target)
    finally:
        backend.undo(record_of(f"{top}/gold", target, Backend.FUSE))
    left = look(target).kind.name
    return f"{found} {refused.value.strerror} {attempt.operation} {left}"


def _open_device(top):
    """In a mount namespace of our own, let every user open /dev/fuse, as most hosts do."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert 0 == libc.unshare(0x00020000)
    mount_command("--make-rprivate", "/")
    os.mknod(f"{top}/fuse", 0o600 | stat.S_IFCHR, os.stat("/dev/fuse").st_rdev)
    os.chmod(f"{top}/fuse", 0o666)
    mount_command("--bind", f"{top}/fuse", "/dev/fuse")


def _content(path, mode="rb"):
    with open(path, mode) as stream:
        return stream.read()


def test_large_file_and_many_names_are_what_they_are(area, backend, target):
    content = os.urandom(5_000_001)
    (area / "gold" / "large").write_bytes(content)
    (area / "gold" / "many").mkdir()
    names = sorted(f"{number:05}" for number in range(3000))
    for name in names:
        (area / "gold" / "many" / name).touch()
    backend.make(str(area / "gold"), target)
    assert content == (area / "data" / "faces" / "large").read_bytes()
    assert names == sorted(os.listdir(f"{target}/many"))


def test_attributes_are_those_of_the_source(area, mounted):
    os.utime(area / "gold" / "a", ns=(1_111_111_111, 2_222_222_222))
    for name in ("a", "dir", "link"):
        ours, its = os.lstat(f"{mounted}/{name}"), os.lstat(area / "gold" / name)
        for field in ("st_ino", "st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns"):
            assert getattr(its, field) == getattr(ours, field), (name, field)


def test_link_in_the_place_of_a_directory_leads_nowhere(area):
    (area / "secret").mkdir()
    (area / "secret" / "b").write_bytes(b"secret")
    gold = os.open(area / "gold", os.O_RDONLY)
    try:
        os.rename(area / "gold" / "dir", area / "gold" / "dir2")
        os.symlink("../secret", area / "gold" / "dir")
        for path in ("dir/b", "../secret/b", "link"):
            with pytest.raises(OSError, match=r"symbolic|cross-device"):
                open_beneath(gold, path, os.O_RDONLY)
        assert open_beneath(gold, "dir", os.O_PATH | os.O_NOFOLLOW) > 0
    finally:
        os.close(gold)


def test_server_is_in_a_session_of_its_own_and_ends_with_the_mount(area, backend, mounted):
    pid = server_of(area)
    assert pid == os.getsid(pid)
    backend.undo(record_of(area / "gold", mounted, Backend.FUSE))
    assert ended(pid)


def test_server_with_a_file_open_goes_on_until_it_is_closed(area, mounted):
    pid = server_of(area)
    with open(f"{mounted}/dir/b", "rb") as stream:
        subprocess.run(["umount", "--lazy", mounted], check=True)
        assert b"deep\n" == stream.read()
    assert ended(pid)


@pytest.fixture
def dead(area, mounted):
    """A mount whose server was killed."""
    os.stat(mounted)
    pid = server_of(area)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    return mounted


def test_dead_server_is_seen_as_stale_and_not_as_foreign(area, dead):
    record = record_of(area / "gold", dead, Backend.FUSE)
    assert MountStatus.STALE is status(record, look(dead), record.boot_id)
    assert not probe(dead, Backend.FUSE).proves_read_only


def test_dead_mount_is_taken_away_by_undo(area, backend, dead):
    backend.undo(record_of(area / "gold", dead, Backend.FUSE))
    assert ([], []) == (mounts_below(area), os.listdir(dead))


def test_crash_before_the_server_starts_leaves_a_stale_mount_of_ours(
    area, backend, target, monkeypatch
):
    monkeypatch.setattr(fuse, "_start", lambda *_: os._exit(0))
    in_child(lambda: backend.make(str(area / "gold"), target))
    monkeypatch.undo()
    record = record_of(area / "gold", target, Backend.FUSE)
    assert MountStatus.STALE is status(record, look(target), record.boot_id)
    backend.undo(record)
    backend.make(str(area / "gold"), target)
    assert MountStatus.LIVE is status(record, look(target), record.boot_id)


def test_living_mount_is_live_and_another_one_is_not_ours(area, backend, mounted):
    record = record_of(area / "gold", mounted, Backend.FUSE)
    assert MountStatus.LIVE is status(record, look(mounted), record.boot_id)
    other = record_of(area / "data", mounted, Backend.FUSE)
    assert MountStatus.REPLACED is status(other, look(mounted), record.boot_id)
    with pytest.raises(ConflictError, match="something else"):
        backend.undo(other)


def test_writable_mount_over_a_directory_of_it_is_told(area, mounted):
    mount_command("-t", "tmpfs", "none", f"{mounted}/dir")
    record = record_of(area / "gold", mounted, Backend.FUSE)
    assert MountStatus.WRITABLE is status(record, look(mounted), record.boot_id)
    assert not probe(mounted, Backend.FUSE).proves_read_only


def test_server_imports_nothing_from_the_working_directory(area, backend, target, monkeypatch):
    (area / "dataguard").mkdir()
    (area / "dataguard" / "__init__.py").write_text("raise SystemExit('mine')\n")
    monkeypatch.chdir(area)
    backend.make(str(area / "gold"), target)
    assert os.path.exists(f"{target}/a")


def test_server_that_cannot_start_leaves_no_mount_and_says_why(area, backend, target, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    monkeypatch.setattr("sys.executable", "/usr/bin/false")
    with pytest.raises(ConflictError, match="ended"):
        backend.make(str(area / "gold"), target)
    assert [] == mounts_below(area)


def test_server_that_cannot_note_attempts_is_not_started_and_leaves_no_mount(area, backend, target):
    os.makedirs(backend.attempts_file(target))
    with pytest.raises(DataguardError, match="cannot start"):
        backend.make(str(area / "gold"), target)
    assert [] == mounts_below(area)


def test_pipe_that_takes_the_place_of_a_file_keeps_nobody_waiting(area, mounted):
    name = area / "gold" / "a"
    assert os.stat(f"{mounted}/a").st_size  # known to the kernel as a file from now on
    name.unlink()
    os.mkfifo(name)
    reader = subprocess.Popen(["cat", f"{mounted}/a"], stderr=subprocess.DEVNULL)
    try:
        reader.wait(20)
    finally:
        if reader.poll() is None:
            os.close(os.open(name, os.O_RDWR))  # let the server go on
            reader.kill()
        reader.wait()
    assert ["dir", "link"] == sorted(set(os.listdir(mounted)) & {"dir", "link"})
