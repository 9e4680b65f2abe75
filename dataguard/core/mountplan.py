"""What a mount record is worth now, and which steps lead to the mounts that are wanted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Backend, Guarantee, MountState
from dataguard.model.mountpoint import OVERLAY, SERVED, MountStatus, TargetKind, served_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.model.mount import MountRecord
    from dataguard.model.mountpoint import TargetView
    from dataguard.model.workspace import LockEntry

__all__ = ["MountStep", "StepKind", "Wanted", "obstacle", "plan", "status"]

_GOOD = (MountStatus.LIVE, MountStatus.DECLARED, MountStatus.LINK)


class StepKind(StrEnum):
    """What to do about one mount."""

    KEEP = "keep"
    MAKE = "make"
    ADOPT = "adopt"
    REMAKE = "remake"
    MOVE = "move"
    FINISH_REMOVAL = "finish removal"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mount somebody wants: what, from where, at which target, by which backend.

    `device` and `inode` are those of the directory at the entry's location now. `insisted`: this
    backend and no other, also where a stronger one is in place.
    """

    entry: LockEntry
    workspace: str
    target: str
    device: int
    inode: int
    backend: Backend
    guarantee: Guarantee
    insisted: bool = False


@dataclass(frozen=True, slots=True)
class MountStep:
    """One step: what is wanted (None where a removal is finished), and the record it starts from.

    `reason` says why a step is blocked, or why something is done again.
    """

    kind: StepKind
    wanted: Wanted | None
    record: MountRecord | None = None
    reason: str = ""


def status(record: MountRecord, view: TargetView, boot_id: str) -> MountStatus:
    """Return what a record is worth, given what is at its target now.

    Identity is the device and inode of the mounted directory, since mount ids differ between
    mount namespaces and are used again after a mount has gone.
    """
    if record.backend is Backend.CONTAINER:
        return _contained(record, view)
    if view.stack:
        return _mounted(record, view, boot_id)
    if record.backend is Backend.SYMLINK:
        return _linked(record, view)
    if record.backend is Backend.DECLARED:
        bare = view.kind in (TargetKind.ABSENT, TargetKind.EMPTY)
        return MountStatus.DECLARED if bare else MountStatus.REPLACED
    if record.boot_id != boot_id:
        return MountStatus.STALE
    return MountStatus.MISSING


def obstacle(view: TargetView) -> str | None:
    """Say what is in the way of a new mount at a target, or return None."""
    if view.stack:
        return "something is mounted there that dataguard did not mount"
    if view.below:
        return f"{view.below[0].target} is mounted below it"
    if view.kind in (TargetKind.ABSENT, TargetKind.EMPTY):
        return None
    return f"there is a {view.kind} already"


def plan(
    wanted: Iterable[Wanted],
    records: Iterable[MountRecord],
    views: Mapping[str, TargetView],
    boot_id: str,
) -> tuple[MountStep, ...]:
    """Return the steps from what is there to what is wanted, removals first.

    `records` are those of one workspace on this host; `views` holds a view for each target of
    both. Records that a crash left half-way are finished or undone, also those nobody wants now.
    Law: planning again after the steps were done gives only `keep`.
    """
    present = {r.name: r for r in records if r.state is not MountState.REMOVED}
    asked = {w.entry.name: w for w in wanted}
    leftovers = [
        MountStep(StepKind.FINISH_REMOVAL, None, record, "a crash left it")
        for name, record in sorted(present.items())
        if name not in asked and record.state is not MountState.ACTIVE
    ]
    gone = {step.record.name for step in leftovers if step.record is not None}
    names = {*asked, *present} - gone
    steps = [_step(w, present.get(name), views, boot_id, names) for name, w in asked.items()]
    return (*leftovers, *steps)


def _mounted(record: MountRecord, view: TargetView, boot_id: str) -> MountStatus:
    if record.backend is Backend.FUSE:
        return _served(record, view)
    if record.backend in (Backend.OVERLAY, Backend.CAS):
        return _overlaid(record, view)
    same = (view.device, view.inode) == (record.root_device, record.root_inode)
    if record.boot_id != boot_id or not same or record.backend is Backend.SYMLINK:
        return MountStatus.REPLACED
    if all(point.read_only for point in (view.stack[-1], *view.below)):
        return MountStatus.LIVE
    return MountStatus.WRITABLE


def _served(record: MountRecord, view: TargetView) -> MountStatus:
    """Return what a served mount is worth; it is not read-only for the kernel, but the server is.

    A server that has ended leaves its mount behind, which is ours to take away: stale.
    """
    top = view.stack[-1]
    if top.filesystem != SERVED or top.source != served_as(record.root_device, record.root_inode):
        return MountStatus.REPLACED
    if view.kind is TargetKind.BROKEN:
        return MountStatus.STALE
    return MountStatus.LIVE if all(p.read_only for p in view.below) else MountStatus.WRITABLE


def _overlaid(record: MountRecord, view: TargetView) -> MountStatus:
    """Return what an overlay is worth; it is known by its name, since its device is its own."""
    top = view.stack[-1]
    if top.filesystem != OVERLAY or top.source != served_as(record.root_device, record.root_inode):
        return MountStatus.REPLACED
    if all(point.read_only for point in (top, *view.below)):
        return MountStatus.LIVE
    return MountStatus.WRITABLE


def _contained(record: MountRecord, view: TargetView) -> MountStatus:
    """Return what a runtime's mount is worth; it ends with its container, not with the kernel."""
    if (view.device, view.inode) != (record.root_device, record.root_inode):
        bare = view.kind in (TargetKind.ABSENT, TargetKind.EMPTY)
        return MountStatus.MISSING if bare else MountStatus.REPLACED
    return MountStatus.LIVE if view.read_only else MountStatus.WRITABLE


def _linked(record: MountRecord, view: TargetView) -> MountStatus:
    if view.kind in (TargetKind.ABSENT, TargetKind.EMPTY):
        return MountStatus.MISSING
    return MountStatus.LINK if view.link == record.source else MountStatus.REPLACED


def _step(
    wanted: Wanted,
    record: MountRecord | None,
    views: Mapping[str, TargetView],
    boot_id: str,
    names: set[str],
) -> MountStep:
    nested = _nested(wanted.entry.name, names)
    if nested is not None:
        return MountStep(StepKind.BLOCKED, wanted, record, f"mounts do not nest: `{nested}`")
    view = views[wanted.target]
    if record is None:
        # a container's runtime has mounted it already: there is nothing to be in the way of
        reason = None if wanted.backend is Backend.CONTAINER else obstacle(view)
        kind = StepKind.MAKE if reason is None else StepKind.BLOCKED
        return MountStep(kind, wanted, None, reason or "")
    return _from_record(wanted, record, views[record.target], boot_id)


def _from_record(wanted: Wanted, record: MountRecord, view: TargetView, boot_id: str) -> MountStep:
    now = status(record, view, boot_id)
    blocked = _blocked_by(wanted, now, view)
    if blocked is not None:
        return MountStep(StepKind.BLOCKED, wanted, record, blocked)
    entry = wanted.entry
    if (record.dataset, record.version) != (entry.dataset, entry.version):
        return MountStep(StepKind.MOVE, wanted, record, f"{record.dataset}@{record.version} goes")
    again = _again_because(wanted, record, now)
    if again is not None:
        return MountStep(StepKind.REMAKE, wanted, record, again)
    kind = StepKind.KEEP if record.state is MountState.ACTIVE else StepKind.ADOPT
    return MountStep(kind, wanted, record)


def _blocked_by(wanted: Wanted, now: MountStatus, view: TargetView) -> str | None:
    if wanted.backend is Backend.CONTAINER:
        return None
    if now is MountStatus.MISSING or (now is MountStatus.STALE and not view.stack):
        return obstacle(view)
    if now is not MountStatus.REPLACED:
        return None
    return f"there is a {'foreign mount' if view.stack else view.kind} by now"


def _again_because(wanted: Wanted, record: MountRecord, now: MountStatus) -> str | None:
    if now not in _GOOD:
        return f"it was {now}"
    if record.target != wanted.target:
        return f"it was at {record.target}"
    if record.state is MountState.REMOVING:
        return "its removal was not finished"
    shown = (record.source, record.root_device, record.root_inode)
    if shown != (wanted.entry.location, wanted.device, wanted.inode):
        return "it shows another directory than the location has now"
    return None if _backend_stays(wanted, record) else f"{record.backend} gives way"


def _backend_stays(wanted: Wanted, record: MountRecord) -> bool:
    """Whether the backend in place will do: nothing that works is replaced by something weaker."""
    if record.backend is wanted.backend:
        return True
    if wanted.insisted or record.backend is Backend.DECLARED:
        return False
    return wanted.guarantee.rank <= record.guarantee.rank or (
        wanted.guarantee is not Guarantee.ENFORCED
    )


def _nested(name: str, names: set[str]) -> str | None:
    """Return another name that lies below or above a name."""
    others = sorted(names - {name})
    return next((o for o in others if is_inside(o, name) or is_inside(name, o)), None)
