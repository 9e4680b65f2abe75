"""What a job may write: everything but gold (protect), or only what is listed (strict).

Landlock has no rules that deny. "Everything but gold" therefore grants every name beside the path
that leads to gold, in each directory above it, and never one of these directories themselves:
nothing new can be made directly in them. Directories are read by descriptor and no link is
followed; a rule holds for what was open, whatever happens to the name.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.sandbox.shim.ruleset import Ruleset

__all__ = ["grant_all_but", "grant_only", "grant_overlays"]

_GOLD, _OPEN = b"gold", b"open"
_MEMORY = (os.makedev(1, 1), os.makedev(1, 2), os.makedev(1, 4))
_STORAGE = (b"sg", b"ngn", b"nvme", b"mtd", b"mtdro", b"raw", b"bsg")
_SHARED = (b"shm", b"pts", b"mqueue", b"hugepages")
_DEVICES = b"/dev"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMED = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class _Node:
    """A name on the way to a marked path: what it is marked as, and what lies below it."""

    __slots__ = ("below", "mark")

    def __init__(self) -> None:
        self.below: dict[bytes, _Node] = {}
        self.mark = b""


class Granting:
    """Walks the directories above gold; counts what was granted and what could not be read."""

    def __init__(self, rules: Ruleset, gold: set[tuple[int, int]]) -> None:
        self.granted = 0
        self.unlisted: list[bytes] = []
        self._rules = rules
        self._above_gold = gold

    def walk(self, directory: int, path: bytes, node: _Node, *, is_open: bool) -> None:
        """Grant what lies in an open directory, except for the names that lead to a mark."""
        names = _listed(directory) if is_open else list(node.below)
        for name in names:
            below = node.below.get(name)
            if below is None:
                self.entry(directory, name, path)
            elif below.below:
                opens = below.mark == _OPEN or (is_open and below.mark != _GOLD)
                self._enter(directory, name, os.path.join(path, name), below, is_open=opens)
            elif below.mark == _OPEN:
                self.entry(directory, name, path)

    def _enter(self, at: int, name: bytes, path: bytes, node: _Node, *, is_open: bool) -> None:
        try:
            descriptor = os.open(name, _DIRECTORY, dir_fd=at)
        except OSError:
            self.unlisted.append(path)
            return
        try:
            self.walk(descriptor, path, node, is_open=is_open)
        finally:
            os.close(descriptor)

    def entry(self, at: int, name: bytes, path: bytes) -> None:
        """Grant one name, unless it is a link, a disk, or leads to gold by another way."""
        try:
            descriptor = os.open(name, _NAMED, dir_fd=at)
        except OSError:
            return  # it vanished, or this user may not reach it
        try:
            status = os.fstat(descriptor)
            if path == _DEVICES or path.startswith(_DEVICES + b"/"):
                self._device(descriptor, status, name, path)
            elif not _is_denied(status) and not self._leads_to_gold(status):
                self._rules.grant(descriptor, status.st_mode)
                self.granted += 1
        finally:
            os.close(descriptor)

    def _device(self, descriptor: int, status: os.stat_result, name: bytes, path: bytes) -> None:
        """Grant a character device that is no way to a disk; a directory of them name by name."""
        if stat.S_ISDIR(status.st_mode) and name not in _SHARED:
            if name not in _STORAGE:
                self._enter(descriptor, b".", os.path.join(path, name), _Node(), is_open=True)
        elif not _is_denied(status) and name.translate(None, b"0123456789") not in _STORAGE:
            self._rules.grant(descriptor, status.st_mode)
            self.granted += 1

    def _leads_to_gold(self, status: os.stat_result) -> bool:
        is_directory = stat.S_ISDIR(status.st_mode)
        return is_directory and (status.st_dev, status.st_ino) in self._above_gold


def grant_all_but(rules: Ruleset, marks: list[list[bytes]]) -> str:
    """Grant everything outside the paths marked `gold`, and inside it those marked `open`."""
    top = _Node()
    for kind, path, _identity in marks:
        node = _reached(top, path)
        node.mark = kind
    _reached(top, _DEVICES).below.setdefault(b"block", _Node()).mark = _GOLD
    golden = [path for kind, path, _ in marks if kind == _GOLD]
    granting = Granting(rules, set(_ancestors(golden)))
    root = os.open("/", _DIRECTORY)
    granting.walk(root, b"/", top, is_open=True)
    os.close(root)
    said = f"{granting.granted} names beside gold are granted"
    if granting.unlisted:
        said += f"; nothing in {os.fsdecode(granting.unlisted[0])}, which cannot be listed"
    return said


def grant_only(rules: Ruleset, places: list[bytes], marks: list[list[bytes]]) -> str:
    """Grant the listed places alone; one that is not there, or lies above gold, is passed over.

    So is one that a link took the place of since its path was resolved: it may lead into gold.
    """
    granted = 0
    above = set(_ancestors([path for kind, path, _ in marks if kind == _GOLD]))
    for place in places:
        try:
            descriptor = os.open(place, _NAMED)
        except OSError:
            continue
        status = os.fstat(descriptor)
        is_there = os.readlink(b"/proc/self/fd/%d" % descriptor) == place
        if is_there and not _is_denied(status) and (status.st_dev, status.st_ino) not in above:
            rules.grant(descriptor, status.st_mode)
            granted += 1
        os.close(descriptor)
    return f"{granted} places may be written"


def grant_overlays(rules: Ruleset, routed: list[bytes]) -> None:
    """Grant the overlays that lie over these paths; below them gold stays as it is."""
    for path in routed:
        overlay = os.open(path, _NAMED)
        rules.grant(overlay, os.fstat(overlay).st_mode)
        os.close(overlay)


def _listed(directory: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(directory)]


def _reached(top: _Node, path: bytes) -> _Node:
    node = top
    for name in path.split(b"/"):
        if name:
            node = node.below.setdefault(name, _Node())
    return node


def _ancestors(paths: list[bytes]) -> Iterator[tuple[int, int]]:
    """Yield device and inode of each path and of each directory above it."""
    for path in paths:
        place = path
        while True:
            try:
                status = os.lstat(place)
                yield status.st_dev, status.st_ino
            except OSError:
                pass  # not there, or out of this user's reach
            if place == b"/":
                break
            place = os.path.dirname(place)


def _is_denied(status: os.stat_result) -> bool:
    mode = status.st_mode
    memory = stat.S_ISCHR(mode) and status.st_rdev in _MEMORY
    return stat.S_ISLNK(mode) or stat.S_ISBLK(mode) or memory
