"""What the page cache holds of files, asked with cachestat(2), and changed for a test."""

from __future__ import annotations

import ctypes
import os

__all__ = ["PAGE", "cached_pages", "make_cold", "make_warm", "why_no_page_cache"]

CACHESTAT = 451  # the same number on every architecture
PAGE = os.sysconf("SC_PAGESIZE")

_libc = ctypes.CDLL(None, use_errno=True)


def cached_pages(path, offset=0, length=0):
    """Return how many pages of a range are in memory; length 0 goes to the end of the file."""
    asked, found = (ctypes.c_uint64 * 2)(offset, length), (ctypes.c_uint64 * 5)()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.syscall(CACHESTAT, descriptor, asked, found, 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
    return found[0]


def make_cold(path):
    """Drop a file from memory."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def make_warm(path, offset=0, length=1 << 40):
    """Have a range of a file in memory, and no more."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        file.seek(offset)
        file.read(min(length, os.path.getsize(path) - offset))


def why_no_page_cache(directory):
    """Return why files here do not come and go between memory and disk; empty where they do."""
    path = os.path.join(directory, "page-cache-probe")
    with open(path, "wb") as file:
        file.write(bytes(PAGE))
    found = []
    try:
        for make in (make_cold, make_warm):
            make(path)
            found.append(cached_pages(path))
    except OSError as err:
        return f"cachestat: {err.strerror}"
    finally:
        os.unlink(path)
    return "" if found == [0, 1] else "the temporary directory is on no disk of its own"
