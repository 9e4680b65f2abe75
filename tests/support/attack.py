"""Everything a job can try against gold, each in a process of its own. Standard library only.

`attack.py GOLD BESIDE HELPER DEVICE` prints as JSON what came of each operation: `done`, or the
name of the error that denied it. Each has a directory `GOLD/<operation>` to itself, see `prepare`.
`BESIDE` is a writable directory of the same file system, HELPER the pid of a process outside,
DEVICE the disk that gold lies on.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import stat
import struct
import sys

AT_FDCWD = -100
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
NEWNS, NEWUSER = 0x00020000, 0x10000000
GET_FLAGS, SET_FLAGS, NODUMP = 0x80086601, 0x40086602, 0x40
libc = ctypes.CDLL(None, use_errno=True)
OPERATIONS = {}
"""All attacks by name; what needs capabilities is in `PRIVILEGED`."""

PRIVILEGED = []


class Place:
    """Where one operation is tried."""

    def __init__(self, gold, beside, helper, device, name):
        self.gold, self.top = os.path.join(gold, name), gold
        self.beside = os.path.join(beside, name)
        self.file, self.inner = os.path.join(self.gold, "a"), os.path.join(self.gold, "dir")
        self.fresh = os.path.join(self.gold, "fresh")
        self.outside = os.path.join(self.beside, "outside")
        self.helper, self.device = helper, device


def prepare(gold, beside):
    """Make what the operations need: a directory in gold and one beside it for each."""
    for name in OPERATIONS:
        os.makedirs(os.path.join(gold, name, "dir"))
        os.makedirs(os.path.join(gold, name, "empty"))
        os.makedirs(os.path.join(beside, name))
        for path in ("a", "dir/b"):
            with open(os.path.join(gold, name, path), "w") as file:
                file.write(f"{name} {path}\n")
        os.setxattr(os.path.join(gold, name, "a"), "user.kept", b"kept")


def operation(act):
    OPERATIONS[act.__name__.strip("_")] = act
    return act


def privileged(act):
    PRIVILEGED.append(act.__name__.strip("_"))
    return operation(act)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mount(source, target, kind, flags, data=None):
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), data))


def poke(path):
    """Add a byte to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"!")
    os.close(descriptor)


def read_only_mount(place):
    """Have gold mounted read-only, as it is for a job; one that cannot has it so already."""
    try:
        check(libc.unshare(NEWNS))
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        mount(place.top, place.top, None, MS_BIND | MS_REC)
        mount(None, place.top, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    except OSError:
        pass


@operation
def open_for_writing(p):
    poke(p.file)


@operation
def open_for_appending(p):
    with open(p.file, "ab") as file:
        file.write(b"x")


@operation
def open_and_truncate(p):
    os.close(os.open(p.file, os.O_RDONLY | os.O_TRUNC))


@operation
def truncate(p):
    os.truncate(p.file, 1)


@operation
def create(p):
    os.close(os.open(p.fresh, os.O_CREAT | os.O_WRONLY))


@operation
def nameless_file(p):
    descriptor = os.open(p.gold, os.O_TMPFILE | os.O_WRONLY, 0o600)
    name = os.fsencode(f"/proc/self/fd/{descriptor}")
    check(libc.linkat(AT_FDCWD, name, AT_FDCWD, os.fsencode(p.fresh), 0x400))


@operation
def make_directory(p):
    os.mkdir(p.fresh)


@operation
def remove_directory(p):
    os.rmdir(os.path.join(p.gold, "empty"))


@operation
def unlink(p):
    os.unlink(p.file)


@operation
def rename_into(p):
    with open(p.outside, "w"):
        pass
    os.rename(p.outside, p.file)


@operation
def rename_out(p):
    os.rename(p.file, p.outside)


@operation
def rename_within(p):
    os.rename(p.file, os.path.join(p.inner, "b"))


@operation
def rename_above(p):
    os.rename(p.top, f"{p.top}.moved")
    os.rename(f"{p.top}.moved", p.top)


@operation
def link_into(p):
    with open(p.outside, "w"):
        pass
    os.link(p.outside, p.fresh)


@operation
def link_out(p):
    os.link(p.file, p.outside)
    poke(p.outside)


@operation
def make_symlink(p):
    os.symlink("a", p.fresh)


@operation
def make_fifo(p):
    os.mkfifo(p.fresh)


@operation
def through_a_symlink(p):
    os.symlink(p.file, p.outside)
    poke(p.outside)


@operation
def change_mode(p):
    os.chmod(p.file, 0o777)


@operation
def change_mode_by_descriptor(p):
    descriptor = os.open(p.file, os.O_RDONLY)
    os.fchmod(descriptor, 0o777)


@operation
def change_owner(p):
    os.chown(p.file, os.getuid(), os.getgid())


@operation
def change_times(p):
    os.utime(p.file, (1, 1))


@operation
def set_attribute(p):
    os.setxattr(p.file, "user.evil", b"x")


@operation
def remove_attribute(p):
    os.removexattr(p.file, "user.kept")


@operation
def set_flags(p):
    descriptor = os.open(p.file, os.O_RDONLY)
    flags = struct.unpack("i", fcntl.ioctl(descriptor, GET_FLAGS, b"\0" * 4))[0]
    fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("i", flags ^ NODUMP))


@operation
def map_shared(p):
    descriptor = os.open(p.file, os.O_RDWR)
    with mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        view[0] = 33


@operation
def open_again_by_descriptor(p):
    descriptor = os.open(p.file, os.O_RDONLY)
    poke(f"/proc/self/fd/{descriptor}")


@operation
def by_the_root_of_proc(p):
    poke(f"/proc/self/root{p.file}")


@operation
def copy_range(p):
    source = os.open(os.path.join(p.inner, "b"), os.O_RDONLY)
    os.copy_file_range(source, os.open(p.file, os.O_WRONLY), 4)


@operation
def trace_a_helper(p):
    check(libc.ptrace(16, p.helper, 0, 0))
    os.waitpid(p.helper, 0x40000000)
    libc.ptrace(17, p.helper, 0, 0)


@operation
def by_the_root_of_a_helper(p):
    poke(f"/proc/{p.helper}/root{p.file}")


@privileged
def remount(p):
    read_only_mount(p)
    mount(None, p.top, None, MS_BIND | MS_REMOUNT)
    poke(p.file)


@privileged
def clear_read_only(p):
    read_only_mount(p)
    attributes = (ctypes.c_uint64 * 4)(0, 1, 0, 0)
    path = os.fsencode(p.top)
    check(libc.syscall(ctypes.c_long(442), ctypes.c_long(AT_FDCWD), path, 0, attributes, 32))
    poke(p.file)


@privileged
def unmount(p):
    read_only_mount(p)
    check(libc.umount2(os.fsencode(p.top), 2))
    poke(p.file)


@privileged
def new_namespace(p):
    read_only_mount(p)
    check(libc.unshare(NEWNS))
    mount(None, p.top, None, MS_BIND | MS_REMOUNT)
    poke(p.file)


@operation
def new_user_namespace(p):
    check(libc.unshare(NEWUSER | NEWNS))
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    # Whoever got this far is to change something of gold's mount.
    mount(p.beside, p.top, None, MS_BIND)


@privileged
def namespace_of_a_helper(p):
    read_only_mount(p)
    check(libc.setns(os.open(f"/proc/{p.helper}/ns/mnt", os.O_RDONLY), NEWNS))
    poke(p.file)


@privileged
def mount_over(p):
    read_only_mount(p)
    mount("tmpfs", p.top, "tmpfs", 0)
    os.close(os.open(os.path.join(p.top, "x"), os.O_CREAT | os.O_WRONLY))


@privileged
def mount_elsewhere(p):
    read_only_mount(p)
    mount(os.path.dirname(p.top), p.beside, None, MS_BIND)
    poke(os.path.join(p.beside, os.path.relpath(p.file, os.path.dirname(p.top))))


@privileged
def open_by_handle(p):
    read_only_mount(p)
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
    number = ctypes.c_int()
    path = os.fsencode(p.file)
    check(libc.name_to_handle_at(AT_FDCWD, path, handle, ctypes.byref(number), 0))
    beside = os.open(p.beside, os.O_RDONLY)
    poke(f"/proc/self/fd/{check(libc.open_by_handle_at(beside, handle, os.O_RDONLY))}")


@privileged
def make_a_device(p):
    node = os.path.join(p.beside, "disk")
    os.mknod(node, stat.S_IFBLK | 0o600, os.stat(p.device).st_rdev)
    os.close(os.open(node, os.O_WRONLY))


@privileged
def open_the_disk(p):
    os.close(os.open(p.device, os.O_WRONLY))


@privileged
def make_memory_device(p):
    node = os.path.join(p.beside, "memory")
    os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 3))


@privileged
def handler_of_the_kernel(_):
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


def attempt(name, place):
    """Return what came of one operation, tried in a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "died"
        try:
            OPERATIONS[name](place)
            answer = "done"
        except OSError as err:
            answer = errno.errorcode.get(err.errno, str(err.errno))
        finally:
            os.write(writing, answer.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(child, 0)
    return answer


def attack(gold, beside, helper, device):
    """Try everything and return what came of it, by operation."""
    return {
        name: attempt(name, Place(gold, beside, int(helper), device, name)) for name in OPERATIONS
    }


if __name__ == "__main__":
    json.dump(attack(*sys.argv[1:]), sys.stdout)
