"""What a mount from the node cache shows: the tree of a version, and its contents.

Before a tree is mounted its contents are pinned for the mount and then filled, from the bucket or
the directory that the version lies in. The pin ends with the mount.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.cacheplaces import cache_for
from dataguard.core.objectplaces import is_objects, prefix_of
from dataguard.errors import ConflictError, NotFoundError
from dataguard.model.cache import Wanted as Content
from dataguard.model.dataclass import dataclass
from dataguard.model.lease import LeaseKind
from dataguard.model.reference import Reference
from dataguard.model.tree import Looks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataguard.actions.context import Context
    from dataguard.core.mountplan import Wanted
    from dataguard.model.cache import Fetch
    from dataguard.model.dataset import Location, Version
    from dataguard.model.mount import MountRecord
    from dataguard.model.tree import Tree
    from dataguard.model.workspace import LockEntry
    from dataguard.stores.nodecache import NodeCache

__all__ = [
    "CachedTree",
    "cache_of",
    "contents",
    "fill",
    "filled",
    "identity",
    "image_of",
    "release",
    "tree_at",
]

_GROUP_DIRECTORY, _GROUP_FILE = 0o550, 0o440
_READ_AND_SEARCH, _OWNER_ALONE = 0o555, 0o500


@dataclass(frozen=True, slots=True)
class CachedTree:
    """A version at one of its locations, and the tree that shows it."""

    version: Version
    location: Location
    looks: Looks
    tree: Tree
    group: int | None

    def rows(self, ctx: Context) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the manifest beside those of the location's sheet, verified."""
        version, sheet = self.version, self.location.sheet
        if sheet is None:
            return ctx.manifests.read(version.root, version.algorithm)
        return ctx.manifests.read_with_sheet(version.root, version.algorithm, sheet)

    def identity(self) -> tuple[int, int]:
        """Return device and inode of the image; zeros where there is none yet."""
        try:
            status = os.stat(self.tree.image)
        except OSError:  # what that means is said when it is made
            return 0, 0
        return status.st_dev, status.st_ino


def _cached_tree(cache: NodeCache, version: Version, location: Location) -> CachedTree:
    """Return which tree in a cache shows a version at one of its locations."""
    from dataguard.stores.trees import tree_of  # noqa: PLC0415  where a cache is mounted from

    looks = _looks(cache, version, location)
    tree = tree_of(
        cache.place.root, version.root, version.algorithm, sheet=location.sheet, looks=looks
    )
    return CachedTree(version, location, looks, tree, cache.place.group)


def identity(ctx: Context, entry: LockEntry) -> tuple[int, int]:
    """Return device and inode of the image that shows an entry; zeros where there is none yet.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        NotFoundError: the version has no such location any more.
    """
    with closing(cache_for(ctx, entry.dataset)) as cache:
        return tree_at(ctx, cache, entry.dataset, entry.version, entry.location).identity()


def image_of(ctx: Context, record: MountRecord) -> str:
    """Return the image that a mount shows, or would show.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
        NotFoundError: the version has no such location any more.
    """
    with closing(cache_for(ctx, record.dataset)) as cache:
        return tree_at(ctx, cache, record.dataset, record.version, record.source).tree.image


def cache_of(ctx: Context, record: MountRecord) -> str:
    """Return the directory of the cache that a mount reads from.

    Raises:
        ConfigurationError: the settings of the cache make no sense.
    """
    with closing(cache_for(ctx, record.dataset)) as cache:
        return cache.place.root


def filled(ctx: Context, wanted: Wanted) -> Wanted:
    """Have everything of a version in the cache, pinned for a mount, and its tree staged.

    Returns what is wanted with the identity of the image. What is there is not fetched again.

    Raises:
        CatalogDamagedError: the manifest or its sheet is damaged.
        ConflictError: a name can be none on a local file system, or more people could read the
            copies than the files of a directory.
        NoRoomError: it does not fit into the cache.
        StoreUnreachableError: the bucket or the cache does not answer.
        WrongBytesError: a content is not what the manifest says.
    """
    from dataguard.stores.trees import stage  # noqa: PLC0415  loads Arrow

    entry = wanted.entry
    with closing(cache_for(ctx, entry.dataset)) as cache:
        shown = tree_at(ctx, cache, entry.dataset, entry.version, entry.location)
        _check_open(ctx, cache, shown)
        cache.prepare()
        stage(shown.tree, shown.looks, lambda: shown.rows(ctx))  # first: it may be refused
        needed = contents(shown.rows(ctx), shown.version)
        cache.pin(_subject(wanted.target), needed, ctx.process, lasting=True)
        fill(ctx, cache, shown)
        device, inode = shown.identity()
    return replace(wanted, device=device, inode=inode)


def _check_open(ctx: Context, cache: NodeCache, shown: CachedTree) -> None:
    """Refuse a directory of which somebody may not read all, who could read the cache."""
    place, group = shown.location.place, cache.place.group
    if is_objects(place):
        return
    from dataguard.stores.readership import Readers, closed_to  # noqa: PLC0415  for directories

    closed = closed_to(Readers(group), place, cache.place.top, shown.rows(ctx))
    if closed is None:
        return
    where = os.path.join(place, os.fsdecode(closed)).encode("utf-8", "backslashreplace").decode()
    readers = "everybody" if group is None else f"members of group {group}"
    raise ConflictError(
        f"the node cache would show {place} to {readers}, who may not read {where}",
        hint=f'--backend bind, or in config.toml: [cache.private] "{shown.version.dataset}" = '
        '"GROUP", a group of which everybody may read it',
    )


def fill(ctx: Context, cache: NodeCache, shown: CachedTree) -> None:
    """Fetch what is missing of a version; the first content that cannot be had ends it.

    Raises:
        DataguardError: as `filled`.
    """
    from dataguard.stores.cachebatch import fill_many  # noqa: PLC0415  where something is filled

    version = shown.version
    ctx.progress.start(f"filling the cache with {version.reference}", version.bytes)
    try:
        with _items(ctx, shown) as items:
            for filling in fill_many(cache, items):
                if filling.problem is not None:
                    raise filling.problem
                ctx.progress.advance(1, filling.wanted.size)
    finally:
        ctx.progress.finish()


def release(ctx: Context, record: MountRecord) -> None:
    """Let the cache drop what a mount needed.

    Raises:
        StoreUnreachableError: the cache cannot be written.
    """
    with closing(cache_for(ctx, record.dataset)) as cache:
        cache.pins.release_lease(_subject(record.target))


def contents(batches: Iterable[pa.RecordBatch], version: Version) -> Iterator[Content]:
    """Yield the contents of files as the cache knows them; empty ones need none."""
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("kind", "size", "digest"))
        for kind, size, digest in zip(*columns, strict=True):
            if kind == "f" and size:
                yield Content(version.algorithm, digest, size)


@contextmanager
def _items(ctx: Context, shown: CachedTree) -> Iterator[Iterator[tuple[Content, Fetch]]]:
    """Give each content with what fetches it, from a bucket or a directory."""
    place, algorithm = shown.location.place, shown.version.algorithm
    if not is_objects(place):
        from dataguard.stores.localfetch import local_contents  # noqa: PLC0415  loads Arrow

        yield local_contents(place, shown.rows(ctx), algorithm)
        return
    from dataguard.actions.objectplaces import access_of  # noqa: PLC0415  few versions need them
    from dataguard.stores.objectclient import ObjectClient  # noqa: PLC0415  as above
    from dataguard.stores.objectfetch import object_contents  # noqa: PLC0415  as above

    with closing(ObjectClient(access_of(ctx, place))) as client:
        yield object_contents(client, prefix_of(place), shown.rows(ctx), algorithm)


def _subject(target: str) -> str:
    return f"{LeaseKind.MOUNT}:{target}"


def tree_at(ctx: Context, cache: NodeCache, dataset: str, number: int, place: str) -> CachedTree:
    """Return which tree in a cache shows a version at one of its locations.

    Raises:
        NotFoundError: it has no such location any more.
    """
    version = ctx.catalog.resolve(Reference(dataset, number=number))
    for location in ctx.catalog.locations(dataset, number):
        if location.place == place:
            return _cached_tree(cache, version, location)
    raise NotFoundError(
        f"{version.reference} has no location {place}", hint=f"dataguard show {version.reference}"
    )


def _looks(cache: NodeCache, version: Version, location: Location) -> Looks:
    """Return how directories look, and files that the sheet tells nothing of.

    What a bucket holds has no owner here: who may read is said by the cache it is in. Directories
    of a local tree are as open as the topmost is, and root's alone where that cannot be seen.
    """
    mtime_ns = int(version.created.timestamp()) * 10**9
    group = cache.place.group
    if group is not None:
        return Looks(0, group, _GROUP_DIRECTORY, _GROUP_FILE, mtime_ns)
    if is_objects(location.place):
        return Looks(mtime_ns=mtime_ns)
    try:
        top = os.stat(location.place)
    except OSError:
        return Looks(directory_mode=_OWNER_ALONE, mtime_ns=mtime_ns)
    return Looks(top.st_uid, top.st_gid, top.st_mode & _READ_AND_SEARCH, mtime_ns=mtime_ns)
