"""`doctor`: what this host can enforce and reach, and where each setting comes from."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

from dataguard.actions.confinement import look_at_host
from dataguard.actions.resolution import is_here
from dataguard.catalog.repository import Catalog
from dataguard.core.sealing import notice
from dataguard.engines.capacity import cores, workers_for
from dataguard.errors import DataguardError
from dataguard.model.administration import Ability, Diagnosis
from dataguard.model.confinement import Step
from dataguard.mounts import bind, container, fuse
from dataguard.report.lines import number, size_words
from dataguard.stores.filesystem import describe
from dataguard.stores.flags import may_set_flags
from dataguard.stores.manifests import ManifestStore
from dataguard.stores.medium import medium_of

if TYPE_CHECKING:
    from dataguard.model.actor import Actor
    from dataguard.model.confinement import Confinement
    from dataguard.model.ports import Clock
    from dataguard.model.settings import LoadedPolicy, Settings

__all__ = ["doctor"]


def doctor(settings: Settings, loaded: LoadedPolicy, clock: Clock, actor: Actor) -> Diagnosis:
    """Look at host, home and catalog without changing them."""
    found = look_at_host()
    abilities = (
        _python(),
        _home(settings),
        _catalog(settings, clock, actor),
        _manifests(settings),
        _timestamps(settings, actor),
        _workers(settings, clock, actor),
        _bind(),
        _overlay(),
        _cached(),
        _fuse(settings),
        _contained(),
        _confined_jobs(found),
        _routed(found),
        *_watching(settings),
        _flags(),
        *_seals(settings, clock, actor),
        _cache(settings, clock),
        _blake3(),
    )
    return Diagnosis(
        healthy=all(ability.state != "failed" for ability in abilities),
        settings=settings.listed(),
        policy=loaded.policy.name,
        policies=tuple(f"{layer.source.origin}: {layer.source.value}" for layer in loaded.layers),
        abilities=abilities,
    )


def _python() -> Ability:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Ability("python", "ok", f"{version}, Linux {os.uname().release}")


def _home(settings: Settings) -> Ability:
    home = settings.home.value
    if not os.path.isdir(home):
        return Ability("home", "missing", f"{home}: the first command that records makes it")
    if not os.access(home, os.W_OK):
        return Ability("home", "failed", f"{home} may not be written")
    return Ability("home", "ok", home)


def _catalog(settings: Settings, clock: Clock, actor: Actor) -> Ability:
    home = settings.home.value
    if not os.path.isdir(home):
        return Ability("catalog", "missing", "no home yet")
    try:
        with _opened(settings, clock, actor) as catalog:
            return Ability("catalog", "ok", number(len(catalog.versions()), "version"))
    except DataguardError as err:
        state = "missing" if err.code == "not_found" else "failed"
        return Ability("catalog", state, err.message)


def _opened(settings: Settings, clock: Clock, actor: Actor) -> Catalog:
    return Catalog.open(
        settings.catalog.value,
        events=os.path.join(settings.home.value, "events"),
        clock=clock,
        actor=actor,
        create=False,
    )


def _manifests(settings: Settings) -> Ability:
    store = ManifestStore(settings.home.value)
    abandoned = sum(1 for _ in store.abandoned())
    if abandoned:
        return Ability("manifests", "ok", f"{abandoned} abandoned drafts: catalog check --apply")
    return Ability("manifests", "ok", "no abandoned drafts")


def _timestamps(settings: Settings, actor: Actor) -> Ability:
    place = settings.home.value if os.path.isdir(settings.home.value) else "/"
    filesystem = describe(place, actor.host)
    if filesystem.tick_ns == 0:
        return Ability("timestamps", "ok", f"{filesystem.kind}: every change shows another time")
    tick = f"{filesystem.tick_ns / 1e6:g} ms"
    return Ability("timestamps", "ok", f"{filesystem.kind}: changes within {tick} are read again")


def _workers(settings: Settings, clock: Clock, actor: Actor) -> Ability:
    """Say how many processes read the data of each place, and what it lies on."""
    places = _places(settings, clock, actor)
    media = Counter(medium_of(place) for place in places or (settings.home.value,))
    asked = "1" if settings.engine.value == "serial" else settings.workers.value
    usable = cores()
    said = [
        f"{workers_for(medium, usable) if asked == 'auto' else asked} for "
        f"{number(count, 'place') if places else 'the home'} on {medium}"
        for medium, count in sorted(media.items())
    ]
    return Ability("workers", "ok", ", ".join(said))


def _places(settings: Settings, clock: Clock, actor: Actor) -> set[str]:
    """Return where gold is on this host; nothing where the catalog cannot tell."""
    if not os.path.isdir(settings.home.value):
        return set()
    try:
        with _opened(settings, clock, actor) as catalog:
            active = catalog.active_locations()
    except DataguardError:  # said by the catalog's own ability
        return set()
    return {one.place for one in active if is_here(one, actor.host)}


def _bind() -> Ability:
    reason = bind.BindBackend().unavailable()
    if reason is None:
        return Ability("read-only mounts", "ok", "backend bind: enforced")
    return Ability("read-only mounts", "missing", f"{reason}; mounts are declared only")


def _overlay() -> Ability:
    from dataguard.mounts import overlay  # noqa: PLC0415  names no backend that most hosts use

    reason = overlay.OverlayBackend().unavailable()
    if reason is None:
        return Ability("overlay mounts", "ok", "backend overlay: enforced; mount --backend overlay")
    return Ability("overlay mounts", "missing", reason)


def _cached() -> Ability:
    from dataguard.mounts import cas  # noqa: PLC0415  as above

    reason = cas.CasBackend().unavailable()
    if reason is None:
        return Ability("mounts from the node cache", "ok", "backend cas: enforced; s3:// versions")
    return Ability("mounts from the node cache", "missing", reason)


def _routed(found: Confinement) -> Ability:
    """Say whether writes of jobs into their inputs can be led to their outputs.

    That takes mounts of the job's own, and a kernel that has overlays.
    """
    layer = next((one for one in found.layers if one.name == "mounts"), None)
    if layer is None or not layer.holds:
        why = "; ".join(found.weaker_because) if layer is None else layer.detail
        return Ability("routed writes", "missing", f"a job gets no mounts of its own: {why}")
    if not _kernel_has("overlay"):
        return Ability("routed writes", "missing", "the kernel has no overlays: modprobe overlay")
    return Ability("routed writes", "ok", "dataguard run --writes route")


def _kernel_has(filesystem: str) -> bool:
    with open("/proc/filesystems", encoding="ascii") as lines:
        return any(line.split()[-1:] == [filesystem] for line in lines)


def _watching(settings: Settings) -> tuple[Ability, ...]:
    """Say which sources of events work here, tried on the home's file system."""
    from dataguard.watchers.fanotify import FanotifySensor  # noqa: PLC0415  two sources of three
    from dataguard.watchers.inotify import InotifySensor  # noqa: PLC0415  as above

    home = settings.home.value
    place = os.fsencode(home if os.path.isdir(home) else "/")
    return tuple(
        _source(f"watching by {sensor.source}", sensor.unavailable(place), limits)
        for sensor, limits in (
            (FanotifySensor(), ("fanotify/max_user_groups", "fanotify/max_user_marks")),
            (InotifySensor(), ("inotify/max_user_watches", "inotify/max_queued_events")),
        )
    )


def _source(name: str, reason: str | None, limits: tuple[str, ...]) -> Ability:
    from dataguard.watchers.limits import limit  # noqa: PLC0415  as above

    if reason is not None:
        return Ability(name, "missing", reason)
    told = (limit(f"/proc/sys/fs/{one}", None) for one in limits)
    said = ", ".join(f"{one.name} = {one.value:,}" for one in told)
    return Ability(name, "ok", f"{said}; dataguard watch --explain")


def _fuse(settings: Settings) -> Ability:
    reason = fuse.FuseBackend(os.path.join(settings.home.value, "state")).unavailable()
    if reason is None:
        said = "backend fuse: enforced, and refused writes are recorded; mount --backend fuse"
        return Ability("fuse mounts", "ok", said)
    return Ability("fuse mounts", "missing", reason)


def _contained() -> Ability:
    reason = container.ContainerBackend().unavailable()
    if reason is None:
        said = "backend container: what the runtime mounted read-only is checked; mount --emit"
        return Ability("container mounts", "ok", said)
    return Ability("container mounts", "missing", reason)


def _confined_jobs(found: Confinement) -> Ability:
    missing = "; ".join(f"{one.name}: {one.detail}" for one in found.layers if not one.holds)
    if found.step is Step.FULL:
        return Ability("confined jobs", "ok", "every layer holds: dataguard run --explain")
    why = "; ".join((missing, *found.weaker_because))
    return Ability("confined jobs", "missing", f"{found.step}: {why}")


def _flags() -> Ability:
    if may_set_flags():
        return Ability("immutable flags", "ok", "where the file system has them: dataguard seal")
    return Ability("immutable flags", "missing", "no CAP_LINUX_IMMUTABLE: seals by mode only")


def _seals(settings: Settings, clock: Clock, actor: Actor) -> tuple[Ability, ...]:
    """Say which seals are overdue or unfinished; the catalog says itself where it cannot."""
    home = settings.home.value
    try:
        with Catalog.open(
            settings.catalog.value,
            events=os.path.join(home, "events"),
            clock=clock,
            actor=actor,
            create=False,
        ) as catalog:
            noticed = [said for one in catalog.seals() if (said := notice(one, clock()))]
    except DataguardError:
        return ()
    return tuple(Ability("seal", "missing", said) for said in noticed)


def _cache(settings: Settings, clock: Clock) -> Ability:
    """Say where the node cache is, and whether that is a place for one."""
    from dataguard.actions.cacheplaces import cache_at, pin_holds  # noqa: PLC0415  brings SQLite
    from dataguard.stores.cacheplace import why_unfit  # noqa: PLC0415  as above

    place = settings.cache.value
    try:
        marks = cache_at(settings, None, clock, pin_holds).room.marks
        reason = why_unfit(place) if os.path.isdir(place) else None
    except DataguardError as err:
        return Ability("node cache", "failed", err.message)
    if reason is not None:
        return Ability("node cache", "failed", f"{place}: {reason}")
    missing = "" if os.path.isdir(place) else "; made when it is filled"
    upto = f"up to {size_words(marks.high)}"
    return Ability("node cache", "ok", f"{place}, {upto}{missing}: dataguard cache show")


def _blake3() -> Ability:
    try:
        import blake3  # noqa: F401, PLC0415  an extra
    except ImportError:
        return Ability("blake3", "missing", "pip install 'dataguard[blake3]'")
    return Ability("blake3", "ok", "")
