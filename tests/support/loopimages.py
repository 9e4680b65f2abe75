"""File systems in image files, and bytes changed under their feet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "LoopImage",
    "attached_again",
    "flip_byte",
    "loop_btrfs",
    "loop_ext4",
    "loop_image",
    "loop_xfs",
    "mounted_image",
    "why_no_loop",
]

# Smallest sizes that mkfs takes without complaint; the images are sparse.
_SIZES = {"ext4": 64 << 20, "xfs": 320 << 20, "btrfs": 128 << 20}
_QUIET = {"ext4": ("-q", "-F"), "xfs": ("-q", "-f"), "btrfs": ("-q", "-f")}

_FIEMAP = 0xC020660B  # linux/fiemap.h: FS_IOC_FIEMAP, with room for one extent below
_FIEMAP_SYNC = 0x1
_NOT_PLAIN = 0x2 | 0x4 | 0x8 | 0x80 | 0x200  # unknown, delalloc, encoded, encrypted, inline
_EXTENT = struct.Struct("=QQQ16xI12x")
_HEADER = struct.Struct("=QQIIII")
_BLKFLSBUF = 0x1261  # linux/fs.h: write back and drop the block device's own page cache


@dataclass(frozen=True, slots=True)
class LoopImage:
    """A file system of `kind` in the file `image`, attached to `device`, mounted at `top`."""

    kind: str
    image: str
    device: str
    top: str


def why_no_loop(kind: str) -> str:
    """Return why no image of this kind can be mounted here; empty where it can."""
    if os.geteuid() != 0:
        return "mounting an image needs root"
    for tool in (f"mkfs.{kind}", "losetup", "mount"):
        if _tool(tool) is None:
            return f"{tool} is not installed"
    found = subprocess.run([_need("losetup"), "-f"], capture_output=True, check=False)
    return "" if found.returncode == 0 else "no loop device can be had here"


@contextlib.contextmanager
def mounted_image(
    kind: str, directory: str | Path, *, size: int | None = None, options: tuple[str, ...] = ()
) -> Iterator[LoopImage]:
    """Make and mount a file system below `directory`; it is gone again when the block ends.

    `options` are those of its mkfs.

    Raises:
        subprocess.CalledProcessError: it cannot be made or mounted.
    """
    image = os.path.join(directory, f"{kind}.img")
    top = os.path.join(directory, kind)
    os.makedirs(top)
    with open(image, "wb") as file:
        file.truncate(size or _SIZES[kind])
    with contextlib.ExitStack() as undo:
        undo.callback(os.unlink, image)
        _run(_need(f"mkfs.{kind}"), *_QUIET[kind], *options, image)
        device = _run(_need("losetup"), "--find", "--show", image).strip()
        undo.callback(_run, _need("losetup"), "--detach", device)
        _run(_need("mount"), "-t", kind, device, top)
        undo.callback(_unmount_all, top)
        yield LoopImage(kind, image, device, top)


@contextlib.contextmanager
def attached_again(image: LoopImage) -> Iterator[None]:
    """Show an image at the same place through another device, as after a boot or on another host.

    It is a copy: the file system may live on in the mount namespace of somebody else.

    Raises:
        subprocess.CalledProcessError: it is in use, or cannot be mounted again.
    """
    copy = f"{image.image}.again"
    with contextlib.ExitStack() as undo:
        _run("sync", "--file-system", image.top)
        _run(_need("umount"), image.top)
        undo.callback(os.unlink, copy)
        _run("cp", "--sparse=always", image.image, copy)
        device = _run(_need("losetup"), "--find", "--show", copy).strip()
        undo.callback(_run, _need("losetup"), "--detach", device)
        options = (
            ("-o", "nouuid") if image.kind == "xfs" else ()
        )  # the other one may still be there
        _run(_need("mount"), "-t", image.kind, *options, device, image.top)
        undo.callback(_unmount_all, image.top)
        yield


def flip_byte(image: LoopImage, path: str | bytes, offset: int = 0) -> None:
    """Change one byte of a file in the image and nothing of its metadata, ctime included.

    The file is below `image.top` and may be seen through other mounts too. Works for ext4 and xfs;
    btrfs has checksums of its own and would answer with a read error.

    Raises:
        ValueError: the byte lies in no plain extent of an ext4 or xfs image.
        RuntimeError: the old byte is still seen, because some process keeps the page.
    """
    if image.kind == "btrfs":
        raise ValueError("btrfs checks its blocks: a flipped byte is a read error there")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        os.fsync(descriptor)
        before = os.pread(descriptor, 1, offset)
        _invert(image.image, _physical(descriptor, offset))
        _drop_caches(image.device, descriptor)
        if os.pread(descriptor, 1, offset) == before:
            raise RuntimeError(f"the page of {path!r} stays in memory")
    finally:
        os.close(descriptor)


@pytest.fixture
def loop_image(tmp_path: Path) -> Iterator[Callable[..., LoopImage]]:
    """Make images on demand: `loop_image("ext4", size=...)`; all are undone after the test."""
    with contextlib.ExitStack() as images:

        def make(kind: str, *, size: int | None = None, options: tuple[str, ...] = ()) -> LoopImage:
            if reason := why_no_loop(kind):
                pytest.skip(reason)
            place = tmp_path / f"loop-{kind}"
            return images.enter_context(mounted_image(kind, place, size=size, options=options))

        yield make


@pytest.fixture
def loop_ext4(loop_image: Callable[..., LoopImage]) -> LoopImage:
    """A mounted ext4 of 64 MiB."""
    return loop_image("ext4")


@pytest.fixture
def loop_xfs(loop_image: Callable[..., LoopImage]) -> LoopImage:
    """A mounted xfs of 320 MiB, the least it takes."""
    return loop_image("xfs")


@pytest.fixture
def loop_btrfs(loop_image: Callable[..., LoopImage]) -> LoopImage:
    """A mounted btrfs of 128 MiB."""
    return loop_image("btrfs")


def _physical(descriptor: int, offset: int) -> int:
    """Return where on the device the byte at `offset` is (FIEMAP, kernel documentation)."""
    request = bytearray(_HEADER.pack(offset, 1, _FIEMAP_SYNC, 0, 1, 0) + bytes(_EXTENT.size))
    fcntl.ioctl(descriptor, _FIEMAP, request)
    mapped = _HEADER.unpack_from(request)[3]
    logical, physical, length, flags = _EXTENT.unpack_from(request, _HEADER.size)
    if not mapped or flags & _NOT_PLAIN or not logical <= offset < logical + length:
        raise ValueError(f"byte {offset} is in no plain extent (flags {flags:#x})")
    return int(physical + offset - logical)


def _invert(image: str, position: int) -> None:
    # A loop device reads and writes through the page cache of its file, so both see the change.
    descriptor = os.open(image, os.O_RDWR)
    try:
        (byte,) = os.pread(descriptor, 1, position)
        os.pwrite(descriptor, bytes([byte ^ 0xFF]), position)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop_caches(device: str, descriptor: int) -> None:
    block = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(block, _BLKFLSBUF)
    finally:
        os.close(block)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _unmount_all(top: str) -> None:
    # Lazy, because a failed test may still have files open there; mounts stack.
    while os.path.ismount(top):
        _run(_need("umount"), "--lazy", "--recursive", top)


def _tool(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _need(name: str) -> str:
    found = _tool(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
