"""Mounts of gold inside a source: read with it, gold would be registered a second time."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from dataguard.errors import ConflictError
from dataguard.model.mountpoint import OVERLAY, SERVED
from dataguard.mounts import mountinfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dataguard.actions.context import Context
    from dataguard.model.mount import MountRecord
    from dataguard.model.mountpoint import MountPoint

__all__ = ["refuse_mounted_gold"]

_SPECIAL = re.compile(r"([\\*?\[\]])")
_SHOWN = 5


def refuse_mounted_gold(ctx: Context, place: str, exclude: tuple[str, ...]) -> None:
    """Refuse a local source in which versions are mounted, unless they are excluded.

    Mounts that the catalog does not know are told by how they name themselves (`overlay`, `fuse`).

    Raises:
        ConflictError: gold is mounted in it.
        DataguardError: `/proc/self/mountinfo` cannot be read.
        UsageError: a pattern is not valid.
    """
    below = mountinfo.read().below(place)
    if not below:
        return
    records = {one.target: one for one in ctx.catalog.mounts(host=ctx.process.host)}
    gold = {point.target for point in below if point.target in records or _is_ours(point)}
    found = sorted(gold - _excluded(gold, place, exclude))
    if not found:
        return
    raise ConflictError(
        f"gold is mounted in the source {place}, and would be registered a second time: "
        + _listed([_told(target, records.get(target)) for target in found]),
        hint=_way_on(place, found, records),
    )


def _is_ours(point: MountPoint) -> bool:
    ours = point.filesystem == OVERLAY and point.source.startswith("dataguard:")
    return ours or point.filesystem == SERVED


def _excluded(targets: Iterable[str], place: str, exclude: tuple[str, ...]) -> set[str]:
    """Return the directories that a scan would leave out: by their own path, or one above it."""
    if not exclude:
        return set()
    from dataguard.stores.local import exclusion  # noqa: PLC0415  loads Arrow

    excluded = exclusion(exclude)
    if excluded is None:
        return set()
    return {one for one in targets if any(excluded(path, True) for path in _ways(one, place))}


def _ways(target: str, place: str) -> Iterator[bytes]:
    """Yield the directories that lead from a place to a target, the target last."""
    names = os.fsencode(os.path.relpath(target, place)).split(b"/")
    return (b"/".join(names[:count]) for count in range(1, len(names) + 1))


def _told(target: str, record: MountRecord | None) -> str:
    if record is None:
        return target
    return f"{target} ({record.dataset}@{record.version}, {record.backend})"


def _listed(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join(words[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _way_on(place: str, targets: Iterable[str], records: Mapping[str, MountRecord]) -> str:
    left_out = " ".join(
        f"--exclude {shlex.quote(_pattern(os.path.relpath(target, place)))}" for target in targets
    )
    known = {records[one].workspace for one in targets if one in records}
    undone = [f"dataguard unmount --all -w {shlex.quote(one)}" for one in sorted(known)]
    return ", or ".join([*undone, f"leave it out: {left_out}"])


def _pattern(relative: str) -> str:
    """Return the gitignore pattern that names one directory."""
    return "/" + _SPECIAL.sub(r"\\\1", relative) + "/"
