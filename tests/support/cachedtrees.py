"""A node cache laid out by hand: the contents of a directory, and the image of its tree."""

from __future__ import annotations

import os
import shutil

import pytest

from dataguard.engines.serial import SerialEngine
from dataguard.model.digest import Algorithm, DigestPlan, RootDigest
from dataguard.model.tree import Looks
from dataguard.mounts.cas import CasBackend
from dataguard.stores.local import LocalStore
from dataguard.stores.trees import stage, tree_of

__all__ = ["XXH3", "cached_tree", "needs_images", "scanned"]

XXH3 = Algorithm.XXH3_128

needs_images = pytest.mark.skipif(
    CasBackend().unavailable() is not None, reason=f"cas: {CasBackend().unavailable()}"
)


def scanned(directory, algorithm=XXH3):
    """Return what a store sees in a directory, digests included, as batches."""
    store = LocalStore(str(directory), host="node", spread=SerialEngine().map)
    return [piece.entries for piece in store.scan(DigestPlan(algorithm), read=True)]


def cached_tree(source, cache, *, algorithm=XXH3, looks=None, without=()):
    """Fill a cache with a directory's contents, and return the tree that shows them.

    Files named in `without` are left out of the cache.
    """
    batches = scanned(source, algorithm)
    for batch in batches:
        for row in batch.to_pylist():
            path = row["path_raw"] or os.fsencode(row["path"])
            if row["kind"] == "f" and row["size"] and path not in without:
                _keep(os.path.join(os.fsencode(source), path), cache, algorithm, row["digest"])
    looks = Looks() if looks is None else looks
    os.makedirs(os.path.join(cache, algorithm), exist_ok=True)
    tree = tree_of(str(cache), RootDigest("0" * 64), algorithm, sheet=None, looks=looks)
    stage(tree, looks, lambda: iter(batches))
    return tree


def _keep(path, cache, algorithm, digest):
    name = digest.hex()
    place = os.path.join(cache, algorithm, name[:2], name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copyfile(path, place)
    os.chmod(place, 0o444)
