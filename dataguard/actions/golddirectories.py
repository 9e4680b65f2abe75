"""What versions have in directories that folders repeat; each manifest is opened once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.stores.folderpairs import FolderGold
from dataguard.stores.lookup import Lookup
from dataguard.stores.versiontree import VersionTree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.actions.context import Context
    from dataguard.core.wholefolders import Candidate
    from dataguard.model.pinned import PinnedEntry

__all__ = ["GoldDirectories"]


class GoldDirectories:
    """Looks directories up in the manifests of versions."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._trees: dict[tuple[str, int], VersionTree] = {}

    def gold(self, one: Candidate) -> FolderGold:
        """Return what a version says of the directory that a folder may repeat.

        Raises:
            CatalogDamagedError: its manifest cannot be trusted.
        """
        tree = self._tree(one.dataset, one.version)

        def children(path: bytes) -> Mapping[bytes, PinnedEntry | None]:
            known: dict[bytes, PinnedEntry | None] = {}
            for found in tree.children(b"/".join(filter(None, (one.prefix, path)))):
                if isinstance(found, bytes):
                    known[os.path.basename(found)] = None
                else:
                    known[os.path.basename(found.path)] = found
            return known

        version = self._ctx.catalog.version(one.dataset, one.version)
        return FolderGold(version.algorithm, children)

    def _tree(self, dataset: str, number: int) -> VersionTree:
        if (dataset, number) not in self._trees:
            version = self._ctx.catalog.version(dataset, number)
            lookup = Lookup(self._ctx.manifests, version.root, version.algorithm, None)
            self._trees[dataset, number] = VersionTree(lookup)
        return self._trees[dataset, number]
