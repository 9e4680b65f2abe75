"""Trees of odd shapes: what every walk has to survive."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "SPARSE_SIZE",
    "add_deep_file",
    "add_fifo",
    "add_sparse_file",
    "add_unreadable_file",
    "growing_file",
    "make_odd_tree",
    "odd_tree",
]

SPARSE_SIZE = 4 << 30
_LEVEL = b"d" * 250
_APPEND = b"grows " * 1000


def make_odd_tree(directory: bytes | str) -> dict[bytes, bytes | None]:
    """Make every odd entry that can be registered; return paths and contents.

    The content of a link is its target, that of an empty directory None. `second name` and
    `first name` are one inode; nothing here is slow, large or unreadable.
    """
    top = os.fsencode(directory)
    files = {b"empty": b"", b"first name": b"one inode\n", b"a/b/c": b"deep\n", b"a-b": b"x"}
    links = {
        b"broken link": b"nowhere",
        b"loop 1": b"loop 2",
        b"loop 2": b"loop 1",
        b"own tail": b"own tail",
        b"leaves": b"../outside",
        b"absolute": b"/etc/passwd",
        b"to file": b"a/b/c",
        b"to directory": b"a",
        b"bytes \xff\n": b"target \xfe\n",
    }
    for path, content in files.items():
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "xb") as file:
            file.write(content)
    for path, target in links.items():
        os.symlink(target, os.path.join(top, path))
    os.makedirs(os.path.join(top, b"empty directory"))
    os.makedirs(os.path.join(top, b"nested/empty"))
    os.link(os.path.join(top, b"first name"), os.path.join(top, b"second name"))
    empty = {b"empty directory": None, b"nested/empty": None}
    return {**files, **links, **empty, b"second name": files[b"first name"]}


@contextlib.contextmanager
def odd_tree(directory: bytes | str) -> Iterator[dict[bytes, bytes | None]]:
    """Make an odd tree with a path of more than 4,096 bytes; it is removed when the block ends."""
    top = os.fsencode(directory)
    tree = make_odd_tree(top)
    try:
        path = add_deep_file(top, b"at the end\n")
        yield {**tree, path: b"at the end\n"}
    finally:
        shutil.rmtree(top)


def add_deep_file(directory: bytes | str, content: bytes, *, levels: int = 20) -> bytes:
    """Write a file below `levels` directories of 250 bytes each and return its relative path.

    No system call can name it from the top: it is reached one directory at a time.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(levels):
            os.mkdir(_LEVEL, dir_fd=descriptor)
            below = os.open(_LEVEL, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        file = os.open(b"file", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=descriptor)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
    finally:
        os.close(descriptor)
    return b"/".join([*[_LEVEL] * levels, b"file"])


def add_sparse_file(directory: bytes | str, name: bytes = b"sparse") -> bytes:
    """Make a file of 4 GiB that is nearly all hole and return its name."""
    with open(os.path.join(os.fsencode(directory), name), "xb") as file:
        file.write(b"<")
        file.seek(SPARSE_SIZE - 1)
        file.write(b">")
    return name


def add_fifo(directory: bytes | str, name: bytes = b"fifo") -> bytes:
    """Make a FIFO, on which a careless open waits for ever, and return its name."""
    os.mkfifo(os.path.join(os.fsencode(directory), name))
    return name


def add_unreadable_file(directory: bytes | str, name: bytes = b"unreadable") -> bytes:
    """Make a file nobody but root may read and return its name."""
    path = os.path.join(os.fsencode(directory), name)
    with open(path, "xb") as file:
        file.write(b"secret\n")
    os.chmod(path, 0)
    return name


@contextlib.contextmanager
def growing_file(path: bytes | str) -> Iterator[None]:
    """Keep a thread appending to a file as long as the block runs."""
    stop, written = threading.Event(), threading.Event()

    def append() -> None:
        with open(path, "ab", buffering=0) as file:
            while not stop.is_set():
                file.write(_APPEND)
                written.set()
                stop.wait(0.001)

    writer = threading.Thread(target=append, daemon=True)
    writer.start()
    written.wait(10)
    try:
        yield
    finally:
        stop.set()
        writer.join()
