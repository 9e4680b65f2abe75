"""What a FUSE mount of objects shows: a version in a bucket, described for its server."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.cachedtree import tree_at
from dataguard.actions.cacheplaces import cache_for
from dataguard.actions.mountproof import state_of
from dataguard.actions.objectplaces import access_of
from dataguard.core.columns import raw_paths
from dataguard.core.mountable import check_mountable, refuse_unmountable
from dataguard.errors import ConfigurationError, ConflictError, DataguardError, UsageError
from dataguard.model.objects import ObjectPlace
from dataguard.model.served import ServedTree, identity_of
from dataguard.model.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from dataguard.actions.cachedtree import CachedTree
    from dataguard.actions.context import Context
    from dataguard.core.mountplan import Wanted
    from dataguard.model.mount import MountRecord
    from dataguard.model.settings import Settings
    from dataguard.model.workspace import LockEntry

__all__ = ["described", "description_of", "served_identity", "why_not_cached"]

_DESCRIPTIONS = "served"


def described(ctx: Context, wanted: Wanted) -> Wanted:
    """Describe a version for the server that is to show it, once all of it can be shown.

    Nothing is fetched. Returns what is wanted with the identity of the description.

    Raises:
        CatalogDamagedError: the manifest or its sheet is damaged.
        ConflictError: a name can be none on a local file system, or an object cannot be pinned.
        DataguardError: the description cannot be written.
        UsageError: the extra for buckets is not installed.
    """
    entry = wanted.entry
    access_of(ctx, entry.location)
    with closing(cache_for(ctx, entry.dataset)) as cache:
        shown = tree_at(ctx, cache, entry.dataset, entry.version, entry.location)
    _check(shown.rows(ctx))
    tree = _served(ctx, shown)
    path = os.path.join(state_of(ctx), _DESCRIPTIONS, tree.name)
    _write(path, tree.text())
    device, inode = identity_of(path)
    return replace(wanted, device=device, inode=inode)


def served_identity(ctx: Context, entry: LockEntry) -> tuple[int, int]:
    """Return what a mount of an entry is known by.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        NotFoundError: the version has no such location any more.
    """
    return identity_of(_path(ctx, entry.dataset, entry.version, entry.location))


def description_of(ctx: Context, record: MountRecord) -> str:
    """Return the description of what a mount shows, or would show.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        NotFoundError: the version has no such location any more.
    """
    return _path(ctx, record.dataset, record.version, record.source)


def why_not_cached(ctx: Context, entry: LockEntry) -> str | None:
    """Return why a version cannot be mounted from the node cache of this host, but for rights.

    What other mounts need of the cache is not counted: filling says where that is too much.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        NotFoundError: the version has no such location any more.
    """
    with closing(cache_for(ctx, entry.dataset)) as cache:
        version = tree_at(ctx, cache, entry.dataset, entry.version, entry.location).version
        try:
            room = cache.room.most()
        except DataguardError as err:
            return err.message
    if version.bytes <= room:
        return None
    return f"{version.bytes} bytes do not fit into the node cache, which has room for {room}"


def _path(ctx: Context, dataset: str, number: int, place: str) -> str:
    with closing(cache_for(ctx, dataset)) as cache:
        tree = _served(ctx, tree_at(ctx, cache, dataset, number, place))
    return os.path.join(state_of(ctx), _DESCRIPTIONS, tree.name)


def _served(ctx: Context, shown: CachedTree) -> ServedTree:
    version, location, settings = shown.version, shown.location, ctx.settings
    return ServedTree(
        home=settings.home.value,
        root=version.root,
        algorithm=version.algorithm,
        sheet=location.sheet,
        place=location.place,
        objects=location.objects or ObjectPlace(),
        bytes=version.bytes,
        files=version.files,
        # Objects have no owner. The probe opens them without touching access times, which only
        # owners may.
        looks=replace(shown.looks, uid=os.geteuid()),
        cache=settings.cache.value,
        group=shown.group,
        blocks=_blocks(settings),
    )


def _blocks(settings: Settings) -> int:
    setting = settings.cache_blocks
    try:
        return parse_size(setting.value)
    except UsageError as err:
        raise ConfigurationError(
            f"{setting.source}: {setting.name} cannot be `{setting.value}`",
            hint='write a size: [cache] blocks = "128M"',
        ) from err


def _check(batches: Iterable[pa.RecordBatch]) -> None:
    """Refuse names that no directory can show, and objects that nothing tells from later ones."""
    files: list[bytes] = []
    for batch in batches:
        paths = check_mountable(raw_paths(batch))
        pins = [batch.column(name) for name in ("version_id", "etag") if name in batch.schema.names]
        if not pins or all(one.null_count for one in pins):
            _check_pinned(batch, paths)
        for path in paths:
            while files and not path.startswith(files[-1]):
                files.pop()
            for above in files:
                if path.startswith(above + b"/"):
                    refuse_unmountable(above, "it is a file and a directory")
            files.append(path)


def _check_pinned(batch: pa.RecordBatch, paths: list[bytes]) -> None:
    names = [name for name in ("version_id", "etag") if name in batch.schema.names]
    columns = [batch.column(name).to_pylist() for name in names]
    for row, path in enumerate(paths):
        if not any(column[row] for column in columns):
            shown = path.decode("utf-8", "backslashreplace")
            raise ConflictError(
                f"`{shown}` has neither version nor etag: it cannot be read by parts",
                hint="--backend cas",
            )


def _write(path: str, text: str) -> None:
    """Write a description whole: servers may start from it at any time."""
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(draft, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.rename(draft, path)
    except OSError as err:
        raise DataguardError(f"cannot write {path}: {err.strerror}") from err
