"""Which backend a mount gets: the strongest that works, never silently a weaker one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.errors import ConflictError, UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.mount import Backend
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.cas import CasBackend
from dataguard.mounts.container import ContainerBackend
from dataguard.mounts.declared import DeclaredBackend
from dataguard.mounts.fuse import FuseBackend
from dataguard.mounts.overlay import OverlayBackend
from dataguard.mounts.symlink import SymlinkBackend

if TYPE_CHECKING:
    from dataguard.mounts.interface import MountBackend

__all__ = ["AUTO", "Choice", "backend_of", "choose"]

AUTO = "auto"
_REMOTE = (Backend.CAS, Backend.FUSE)
_STATELESS: dict[Backend, type[MountBackend]] = {
    Backend.BIND: BindBackend,
    Backend.CAS: CasBackend,
    Backend.CONTAINER: ContainerBackend,
    Backend.DECLARED: DeclaredBackend,
    Backend.OVERLAY: OverlayBackend,
    Backend.SYMLINK: SymlinkBackend,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend, whether the user insists on it, and why no stronger one was taken."""

    backend: MountBackend
    insisted: bool
    weaker_because: str | None = None


def choose(
    requested: str = AUTO,
    *,
    best_effort: bool = False,
    contained: bool = False,
    remote: bool = False,
    cached: bool = False,
    uncached_because: str | None = None,
    state: str = "",
) -> Choice:
    """Return the backend for what was asked: `auto`, or a backend's name.

    `auto` takes `bind` where it works, else `declared`; with `best_effort` a link in its place,
    so that something is visible. In a container (`contained`) it takes what the runtime mounted
    and nothing else, also where this process could mount. What lies in an object store (`remote`)
    is shown from the node cache, or where that cannot be, because of `uncached_because` too, by a
    server that fetches what is read; what is `cached` is shown from the cache. Each choice carries
    its guarantee, for the user to see. `state` is where the servers of `fuse` keep their files; no
    directory is given that backend unasked.

    Raises:
        ConflictError: a backend was named that cannot work here.
        UsageError: no backend has that name.
    """
    if requested != AUTO:
        backend = _named(requested, state)
        if remote and backend.name not in _REMOTE:
            raise ConflictError(
                f"backend `{requested}` shows directories, and this lies in an object store",
                hint=f"--backend {Backend.CAS}, or {Backend.FUSE}",
            )
        return Choice(backend, insisted=True)
    if remote and not contained:
        return _for_objects(uncached_because, state)
    if cached and not contained:
        return Choice(_from_cache(), insisted=False)
    if contained:
        return Choice(ContainerBackend(), insisted=False)
    return _for_directory(best_effort=best_effort)


def backend_of(name: Backend, *, state: str) -> MountBackend:
    """Return the backend of a record."""
    return FuseBackend(state) if name is Backend.FUSE else _STATELESS[name]()


def _for_directory(*, best_effort: bool) -> Choice:
    bind = BindBackend()
    reason = bind.unavailable()
    if reason is None:
        return Choice(bind, insisted=False)
    if best_effort:
        return Choice(SymlinkBackend(), insisted=False, weaker_because=f"bind: {reason}")
    return Choice(DeclaredBackend(), insisted=False, weaker_because=f"bind: {reason}")


def _from_cache() -> MountBackend:
    backend = CasBackend()
    reason = backend.unavailable()
    if reason is not None:
        raise ConflictError(
            f"it cannot be mounted from the node cache any more: {reason}", hint="--backend bind"
        )
    return backend


def _for_objects(uncached_because: str | None, state: str) -> Choice:
    cached, served = CasBackend(), FuseBackend(state)
    reason = cached.unavailable() or uncached_because
    if reason is None:
        return Choice(cached, insisted=False)
    neither = served.unavailable()
    if neither is None:
        return Choice(served, insisted=False, weaker_because=f"cas: {reason}")
    raise ConflictError(
        f"what lies in an object store cannot be mounted here: cas: {reason}; fuse: {neither}",
        hint="read it with gold://, or let root mount it",
    )


def _named(requested: str, state: str) -> MountBackend:
    if requested not in set(Backend):
        raise UsageError(
            f"no mount backend `{requested}`", hint=f"one of: auto, {', '.join(Backend)}"
        )
    backend = backend_of(Backend(requested), state=state)
    reason = backend.unavailable()
    if reason is not None:
        raise ConflictError(
            f"backend `{requested}` does not work here: {reason}",
            hint="--backend auto takes the strongest that works",
        )
    return backend
