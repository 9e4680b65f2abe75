"""Everything an action may touch, given by the entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.catalog.repository import Catalog
    from dataguard.engines.interface import Engine
    from dataguard.model.actor import Actor, Process
    from dataguard.model.policy import Policy
    from dataguard.model.ports import Clock, Progress
    from dataguard.model.settings import Settings
    from dataguard.stores.interface import Spread
    from dataguard.stores.manifests import ManifestStore

__all__ = ["Context"]


@dataclass(frozen=True, slots=True)
class Context:
    """The world of one command.

    `policy` is the effective one of all layers. `process` is this process, for records that must
    tell later whether it still lives.
    """

    settings: Settings
    policy: Policy
    catalog: Catalog
    engine: Engine
    clock: Clock
    progress: Progress
    actor: Actor
    process: Process

    @property
    def manifests(self) -> ManifestStore:
        """The manifests and sheets of the home; it has no state of its own."""
        from dataguard.stores.manifests import ManifestStore  # noqa: PLC0415  loads Arrow

        return ManifestStore(self.settings.home.value)

    @property
    def spread(self) -> Spread:
        """How stores have their work done: by the engine, in shards where that is a cluster."""
        if self.engine.name != "dask":
            return self.engine.map
        from dataguard.stores.shards import ShardedSpread  # noqa: PLC0415  loads Arrow

        return ShardedSpread(self.engine.map, self.settings.home.value)

    def close(self) -> None:
        """End workers and close the catalog."""
        self.engine.close()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
