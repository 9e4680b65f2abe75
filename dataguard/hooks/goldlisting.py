"""What `gold://` says of files and directories, as fsspec has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dataguard.model.entry import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.hooks.goldreader import Found
    from dataguard.model.pinned import PinnedEntry

__all__ = ["as_info", "listed"]


def as_info(found: Found, name: str) -> dict[str, Any]:
    """Return what is told of what a path leads to, under its own name."""
    if found.entry is None:
        info = _directory(found, name.rstrip("/"))
    else:
        info = _file(found, name, found.entry)
    return info if found.link is None else info | _link(found.link)


def listed(found: Found, *, deep: bool = False) -> Iterator[dict[str, Any]]:
    """Yield what is told of everything in a directory, or `deep` of all entries below it.

    A link to a file is listed as that file. One to a directory, or to nothing in the version, is
    listed as a link: whoever walks along it may never end.

    Raises:
        CatalogDamagedError: the manifest cannot be read any more.
    """
    shown = found.link.path if found.link is not None else found.path
    for one in found.tree.below(found.path) if deep else found.tree.children(found.path):
        path = one if isinstance(one, bytes) else one.path
        name = found.name(shown + path[len(found.path) :])
        if isinstance(one, bytes):
            yield _directory(found, name)
        else:
            yield _entry(found, name, one)


def _entry(found: Found, name: str, entry: PinnedEntry) -> dict[str, Any]:
    if entry.kind is Kind.FILE:
        return _file(found, name, entry)
    if entry.kind is Kind.DIRECTORY:
        return _directory(found, name)
    path = found.tree.followed(entry.path)
    target = None if path is None else found.tree.entry(path)
    if target is not None and target.kind is Kind.FILE:
        return _file(found, name, target) | _link(entry)
    told = {"name": name, "size": entry.size, "type": "link"}
    return {**told, "version": found.opened.version.reference, **_link(entry)}


def _file(found: Found, name: str, entry: PinnedEntry) -> dict[str, Any]:
    version = found.opened.version
    return {
        "name": name,
        "size": entry.size,
        "type": "file",
        "digest": f"{version.algorithm}:{entry.digest.hex()}",
        "version": version.reference,
    }


def _directory(found: Found, name: str) -> dict[str, Any]:
    version = found.opened.version.reference
    return {"name": name, "size": 0, "type": "directory", "version": version}


def _link(entry: PinnedEntry) -> dict[str, Any]:
    return {"islink": True, "destination": os.fsdecode(entry.link_target or b"")}
