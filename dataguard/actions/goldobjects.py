"""Pinned objects to be read: how their bucket is reached, and the node cache before it."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from dataguard.actions.cacheplaces import cache_at, group_of, pin_holds
from dataguard.core.objectplaces import bucket_of, prefix_of
from dataguard.model.objects import ObjectPlace
from dataguard.stores.cachereplica import CachedReplica
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectreplica import ObjectReplica
from dataguard.stores.s3access import access_to
from dataguard.stores.s3credentials import check_extra

if TYPE_CHECKING:
    from dataguard.model.dataset import Location, Version
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings
    from dataguard.stores.pinnedsource import Replica

__all__ = ["objects_at"]


def objects_at(
    version: Version, location: Location, settings: Settings, *, clock: Clock, doubted: bool
) -> Replica:
    """Return what reads a version in a bucket; secrets are found where they are used.

    Raises:
        UsageError: the extra is not installed, or an endpoint is no URL of one.
        ConfigurationError: the settings of the cache make no sense.
    """
    check_extra()
    access = access_to(bucket_of(location.place), ObjectPlace(), location.objects, os.environ)
    behind = ObjectReplica(
        location.place,
        prefix_of(location.place),
        version.algorithm,
        partial(ObjectClient, access),
        doubted=doubted,
    )
    if not os.path.isdir(settings.cache.value):
        return behind
    cache = cache_at(settings, group_of(settings, version.dataset), clock, pin_holds)
    return CachedReplica(cache, behind, version.algorithm, doubted=doubted)
