"""Every way to change a tree that watchers are tried with.

Each plays on a stage of its own. `prepare` runs before anybody watches and may return what `act`
needs; `act` returns the paths, relative to the place, of which at least one (or a directory above
it) must be reported. What only some file systems can do raises `UnsupportedError`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MUTATIONS", "Mutation", "Stage", "UnsupportedError"]

_FICLONE = 0x4004_9409
_GETFLAGS, _SETFLAGS, _NODUMP = 0x8008_6601, 0x4008_6602, 0x40
_PUNCH_HOLE, _KEEP_SIZE, _ZERO_RANGE = 0x2, 0x1, 0x10
_EXCHANGE = 0x2
_AT_FDCWD, _AT_SYMLINK_FOLLOW = -100, 0x400
_DEEP = 1_100
_SIZE = 64 << 10

_libc = ctypes.CDLL(None, use_errno=True)


class UnsupportedError(Exception):
    """This file system cannot do that."""


@dataclass(slots=True)
class Stage:
    """Where one mutation plays; `outside` is on the same file system, and nobody watches it."""

    place: str
    outside: str
    prepared: object = None

    def furnish(self) -> None:
        """Make the files that mutations act on."""
        _furnish(self.place, self.outside)

    def close(self) -> None:
        """Let go of what is still held after the mutation."""
        if isinstance(self.prepared, mmap.mmap):
            self.prepared.close()


@dataclass(frozen=True, slots=True)
class Mutation:
    """One kind of change; `content` says whether a reader would see another tree after it."""

    name: str
    act: Callable[[Stage], tuple[str, ...]]
    prepare: Callable[[Stage], object] | None = None
    content: bool = True


def _furnish(place: str, outside: str) -> None:
    os.makedirs(f"{place}/sub/inner")
    os.makedirs(outside)
    for name in ("file", "other", "sub/one", "sub/inner/two"):
        with open(f"{place}/{name}", "wb") as file:
            file.write(os.urandom(_SIZE))
    with open(f"{outside}/source", "wb") as file:
        file.write(os.urandom(_SIZE))
    os.setxattr(f"{place}/other", "user.known", b"1") if _has_xattrs(place) else None
    os.chmod(f"{place}/file", 0o666)


# --- content --------------------------------------------------------------------------------------


def _write(at):
    with open(f"{at.place}/file", "r+b") as file:
        file.write(b"changed")
    return ("file",)


def _append(at):
    with open(f"{at.place}/file", "ab") as file:
        file.write(b"more")
    return ("file",)


def _truncate_path(at):
    os.truncate(f"{at.place}/file", 100)
    return ("file",)


def _truncate_descriptor(at):
    with open(f"{at.place}/file", "r+b") as file:
        os.ftruncate(file.fileno(), 100)
    return ("file",)


def _truncate_open(at):
    os.close(os.open(f"{at.place}/file", os.O_WRONLY | os.O_TRUNC))
    return ("file",)


def _fallocate(mode):
    def act(at):
        with open(f"{at.place}/file", "r+b") as file:
            offset, length = ctypes.c_int64(4096), ctypes.c_int64(8192)
            _check(_libc.fallocate(file.fileno(), mode, offset, length))
        return ("file",)

    return act


def _copy_file_range(at):
    with open(f"{at.outside}/source", "rb") as source, open(f"{at.place}/file", "r+b") as file:
        os.copy_file_range(source.fileno(), file.fileno(), 5000)
    return ("file",)


def _sendfile(at):
    with open(f"{at.outside}/source", "rb") as source, open(f"{at.place}/file", "r+b") as file:
        os.sendfile(file.fileno(), source.fileno(), 0, 5000)
    return ("file",)


def _splice(at):
    reader, writer = os.pipe()
    try:
        os.write(writer, b"spliced")
        with open(f"{at.place}/file", "r+b") as file:
            _check(_libc.splice(reader, None, file.fileno(), None, 7, 0))
    finally:
        os.close(reader)
        os.close(writer)
    return ("file",)


def _vectored(at):
    with open(f"{at.place}/file", "r+b") as file:
        os.pwritev(file.fileno(), [b"one", b"two"], 1000)
    return ("file",)


def _reflink(at):
    with open(f"{at.outside}/source", "rb") as source, open(f"{at.place}/file", "r+b") as file:
        try:
            fcntl.ioctl(file.fileno(), _FICLONE, source.fileno())
        except OSError as err:
            raise UnsupportedError(err.strerror) from err
    return ("file",)


def _rewritten(at):
    subprocess.run(["sed", "-i", "1s/^/x/", f"{at.place}/file"], check=True)
    return ("file",)


# --- other ways to a file -----------------------------------------------------------------------


def _bind_elsewhere(at):
    os.makedirs(f"{at.outside}/bound")
    script = (
        f"mount --bind '{at.place}' '{at.outside}/bound' && echo x >> '{at.outside}/bound/file'"
    )
    subprocess.run(["unshare", "-m", "sh", "-c", script], check=True)
    return ("file",)


def _by_proc(at):
    descriptor = os.open(f"{at.place}/file", os.O_RDONLY)
    try:
        with open(f"/proc/self/fd/{descriptor}", "ab") as file:
            file.write(b"x")
    finally:
        os.close(descriptor)
    return ("file",)


def _open_before(at):
    return os.open(f"{at.place}/file", os.O_RDWR)


def _by_open_descriptor(at):
    os.pwrite(at.prepared, b"changed", 10)
    os.close(at.prepared)
    return ("file",)


def _other_user(at):
    directory = os.open(at.place, os.O_PATH)  # the directories above may be closed to others
    words = ["sh", "-c", "echo mine >> /proc/self/fd/0/file"]
    user = {"user": 65534, "group": 65534, "extra_groups": []}
    subprocess.run(words, stdin=directory, check=True, **user)
    os.close(directory)
    return ("file",)


def _linked_before(at):
    os.link(f"{at.place}/file", f"{at.outside}/alias")


def _by_link(at):
    with open(f"{at.outside}/alias", "ab") as file:
        file.write(b"x")
    return ("file",)


def _link_outside(at):
    os.link(f"{at.place}/file", f"{at.outside}/alias")
    return ("file",)


def _link_outside_written(at):
    os.link(f"{at.place}/file", f"{at.outside}/alias")
    return _by_link(at)


def _linked_inside(at):
    os.link(f"{at.place}/file", f"{at.place}/sub/alias")


def _by_inner_link(at):
    with open(f"{at.place}/sub/alias", "ab") as file:
        file.write(b"x")
    return ("sub/alias",)


# --- mappings -----------------------------------------------------------------------------------


def _mapped(place):
    with open(f"{place}/file", "r+b") as file:
        return mmap.mmap(file.fileno(), 4096)


def _mapped_and_closed(at):
    with _mapped(at.place) as memory:
        memory[:4] = b"mmap"
    return ("file",)


def _map_before(at):
    return _mapped(at.place)


def _mapped_still(at):
    """The mapping stays until the process ends, or whoever holds `prepared` closes it."""
    at.prepared[:4] = b"mmap"
    return ("file",)


# --- metadata -----------------------------------------------------------------------------------


def _time_put_back(at):
    before = os.stat(f"{at.place}/file")
    with open(f"{at.place}/file", "r+b") as file:
        file.write(b"changed")
    os.utime(f"{at.place}/file", ns=(before.st_atime_ns, before.st_mtime_ns))
    return ("file",)


def _touch(at):
    os.utime(f"{at.place}/file", (1, 1))
    return ("file",)


def _chmod(at):
    os.chmod(f"{at.place}/file", 0o755)
    return ("file",)


def _chmod_directory(at):
    os.chmod(f"{at.place}/sub", 0o700)
    return ("sub",)


def _chown(at):
    os.chown(f"{at.place}/file", 1234, 1234)
    return ("file",)


def _setxattr(at):
    _need_xattrs(at.place)
    os.setxattr(f"{at.place}/file", "user.new", b"1")
    return ("file",)


def _removexattr(at):
    _need_xattrs(at.place)
    os.removexattr(f"{at.place}/other", "user.known")
    return ("other",)


def _chattr(at):
    descriptor = os.open(f"{at.place}/file", os.O_RDONLY)
    try:
        flags = fcntl.ioctl(descriptor, _GETFLAGS, bytes(8))
        new = int.from_bytes(flags, sys.byteorder) | _NODUMP
        fcntl.ioctl(descriptor, _SETFLAGS, new.to_bytes(8, sys.byteorder))
    except OSError as err:
        raise UnsupportedError(err.strerror) from err
    finally:
        os.close(descriptor)
    return ("file",)


# --- names --------------------------------------------------------------------------------------


def _create(at):
    with open(f"{at.place}/new", "wb") as file:
        file.write(b"new")
    return ("new",)


def _create_odd(at):
    name = os.fsdecode(b"new\nline \xff%0A" + b"n" * 200)
    with open(f"{at.place}/{name}", "wb"):
        pass
    return (name,)


def _fifo(at):
    os.mkfifo(f"{at.place}/fifo")
    return ("fifo",)


def _symlink(at):
    os.symlink("file", f"{at.place}/link")
    return ("link",)


def _swapped_for_link(at):
    os.rename(f"{at.place}/file", f"{at.outside}/file")
    os.symlink(f"{at.outside}/file", f"{at.place}/file")
    return ("file",)


def _link_inside(at):
    os.link(f"{at.outside}/source", f"{at.place}/linked")
    return ("linked",)


def _unnamed(at):
    try:
        descriptor = os.open(at.place, os.O_TMPFILE | os.O_WRONLY)
    except OSError as err:
        raise UnsupportedError(err.strerror) from err
    os.write(descriptor, b"x")
    source = f"/proc/self/fd/{descriptor}".encode()
    target = f"{at.place}/named".encode()
    _check(_libc.linkat(_AT_FDCWD, source, _AT_FDCWD, target, _AT_SYMLINK_FOLLOW))
    os.close(descriptor)
    return ("named",)


def _unlink(at):
    os.unlink(f"{at.place}/file")
    return ("file",)


def _rename(at):
    os.rename(f"{at.place}/file", f"{at.place}/sub/renamed")
    return ("sub/renamed",)


def _moved_out(at):
    os.rename(f"{at.place}/file", f"{at.outside}/gone")
    return ("file",)


def _replaced(at):
    os.rename(f"{at.outside}/source", f"{at.place}/file")
    return ("file",)


def _exchange(first, second, changed):
    def act(at):
        names = [
            name.format(place=at.place, outside=at.outside).encode() for name in (first, second)
        ]
        _check(_libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE))
        return changed

    return act


# --- directories --------------------------------------------------------------------------------


def _mkdir(at):
    os.mkdir(f"{at.place}/directory")
    return ("directory",)


def _written_at_once(at):
    os.makedirs(f"{at.place}/a/b/c")
    with open(f"{at.place}/a/b/c/deep", "wb") as file:
        file.write(b"x")
    return ("a/b/c/deep",)


def _directory_removed(at):
    shutil.rmtree(f"{at.place}/sub")
    return ("sub",)


def _directory_out(at):
    os.rename(f"{at.place}/sub", f"{at.outside}/sub")
    return ("sub",)


def _directory_renamed_written(at):
    os.rename(f"{at.place}/sub", f"{at.place}/bus")
    with open(f"{at.place}/bus/inner/two", "ab") as file:
        file.write(b"x")
    return ("bus/inner/two",)


def _tree_outside(at):
    os.makedirs(f"{at.outside}/tree/below")
    shutil.copy(f"{at.outside}/source", f"{at.outside}/tree/below/copied")


def _directory_in(at):
    os.rename(f"{at.outside}/tree", f"{at.place}/tree")
    return ("tree",)


def _directory_in_written(at):
    os.rename(f"{at.outside}/tree", f"{at.place}/tree")
    with open(f"{at.place}/tree/below/copied", "ab") as file:
        file.write(b"x")
    return ("tree/below/copied",)


def _deep_outside(at):
    """Make a tree deeper than Python's recursion, whose path no call takes as a whole."""
    descriptor = os.open(at.outside, os.O_RDONLY)
    for level in range(_DEEP):
        name = "deep" if level == 0 else "d" * 5
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    return descriptor


def _deep_in(at):
    os.rename(f"{at.outside}/deep", f"{at.place}/deep")
    os.close(at.prepared)
    return ("deep",)


def _deep_in_written(at):
    os.rename(f"{at.outside}/deep", f"{at.place}/deep")
    descriptor = os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=at.prepared)
    os.close(descriptor)
    os.close(at.prepared)
    return ("deep" + "/ddddd" * (_DEEP - 1) + "/bottom",)


MUTATIONS = (
    Mutation("write in place", _write),
    Mutation("append", _append),
    Mutation("truncate by path", _truncate_path),
    Mutation("truncate by descriptor", _truncate_descriptor),
    Mutation("open with O_TRUNC", _truncate_open),
    Mutation("punch a hole", _fallocate(_PUNCH_HOLE | _KEEP_SIZE)),
    Mutation("copy_file_range", _copy_file_range),
    Mutation("sendfile", _sendfile),
    Mutation("splice", _splice),
    Mutation("pwritev", _vectored),
    Mutation("reflink over", _reflink),
    Mutation("sed -i", _rewritten),
    Mutation("through a bind mount in another namespace", _bind_elsewhere),
    Mutation("through /proc/self/fd", _by_proc),
    Mutation("through a descriptor from before", _by_open_descriptor, _open_before),
    Mutation("by another user", _other_user),
    Mutation("through a hard link outside", _by_link, _linked_before),
    Mutation("hard link made outside", _link_outside, content=False),
    Mutation("hard link made outside, then written", _link_outside_written),
    Mutation("through a hard link inside", _by_inner_link, _linked_inside),
    Mutation("mapping stored to and unmapped", _mapped_and_closed),
    Mutation("mapping stored to and kept", _mapped_still, _map_before),
    Mutation("write, then touch -r", _time_put_back),
    Mutation("touch", _touch, content=False),
    Mutation("chmod", _chmod, content=False),
    Mutation("chmod of a directory", _chmod_directory, content=False),
    Mutation("chown", _chown, content=False),
    Mutation("setxattr", _setxattr, content=False),
    Mutation("removexattr", _removexattr, content=False),
    Mutation("chattr", _chattr, content=False),
    Mutation("create", _create),
    Mutation("create with an odd name", _create_odd),
    Mutation("mkfifo", _fifo),
    Mutation("symlink", _symlink),
    Mutation("file swapped for a link to it", _swapped_for_link),
    Mutation("link from outside", _link_inside),
    Mutation("O_TMPFILE and linkat", _unnamed),
    Mutation("unlink", _unlink),
    Mutation("rename", _rename),
    Mutation("move out", _moved_out),
    Mutation("rename over, from outside", _replaced),
    Mutation("exchange inside", _exchange("{place}/file", "{place}/other", ("file", "other"))),
    Mutation("exchange with outside", _exchange("{place}/file", "{outside}/source", ("file",))),
    Mutation("mkdir", _mkdir),
    Mutation("mkdir -p and write at once", _written_at_once),
    Mutation("rm -r", _directory_removed),
    Mutation("directory out", _directory_out),
    Mutation("directory renamed, then written in", _directory_renamed_written),
    Mutation("directory in", _directory_in, _tree_outside),
    Mutation("directory in, then written in", _directory_in_written, _tree_outside),
    Mutation("deep tree in", _deep_in, _deep_outside),
    Mutation("deep tree in, then written at its bottom", _deep_in_written, _deep_outside),
)


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise UnsupportedError(os.strerror(number))
        raise OSError(number, os.strerror(number))


def _has_xattrs(place: str) -> bool:
    with contextlib.suppress(OSError):
        os.setxattr(place, "user.probe", b"1")
        os.removexattr(place, "user.probe")
        return True
    return False


def _need_xattrs(place: str) -> None:
    if not _has_xattrs(place):
        raise UnsupportedError("no user attributes")
