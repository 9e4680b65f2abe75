"""What a search for copies begins with: where, for what, and workers that look already.

Loads neither Arrow nor numpy, so that workers are at work before these are loaded.
"""

from __future__ import annotations

import os
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

from dataguard.actions.copyplaces import scope_of
from dataguard.actions.goldindex import gold_index
from dataguard.actions.places import store_of
from dataguard.core.wantedsizes import Sizes
from dataguard.errors import DataguardError
from dataguard.model.dataclass import dataclass
from dataguard.model.digest import Algorithm, DigestPlan
from dataguard.stores.scannames import ScanNames
from dataguard.stores.sieve import SMALL, SieveFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from dataguard.actions.context import Context
    from dataguard.actions.copyplaces import Scope
    from dataguard.core.goldindex import GoldIndex
    from dataguard.model.reference import Reference
    from dataguard.stores.interface import Scanned
    from dataguard.stores.local import LocalStore

__all__ = ["Begun", "BegunPlace", "Wish", "begin", "plan_of"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to look for.

    `only` is the one version to look for, whatever its state. With `among`, files that repeat one
    another are told too, with `partial` truncated and appended copies. `resume` goes on where
    the time of an earlier scan was over. No more than `rate` bytes a second are read, where it is
    not 0.
    """

    min_size: int = 1
    only: Reference | None = None
    max_duration: timedelta | None = None
    resume: bool = False
    among: bool = False
    partial: bool = False
    chunks: bool = False
    archives: bool = False
    tables: bool = False
    rate: int = 0
    dry_run: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether whole files are looked for, each by itself, from the beginning on."""
        deeper = self.partial or self.chunks or self.archives or self.tables
        return not (deeper or self.among or self.resume)


@dataclass(frozen=True, slots=True)
class BegunPlace:
    """A place that workers look through: whoever takes the pieces closes the sieve after that."""

    store: LocalStore
    sieve: SieveFile
    pieces: Iterator[Scanned]


@dataclass(frozen=True, slots=True)
class Begun:
    """Where and for what to look; `first` is the first directory, where workers are at it."""

    scope: Scope
    index: GoldIndex
    first: BegunPlace | None


def begin(ctx: Context, places: tuple[str, ...], listed: tuple[bytes, ...], wish: Wish) -> Begun:
    """Find out where to look for what; have workers begin where nothing else has to be known.

    Raises:
        CatalogDamagedError: a manifest is missing or damaged.
        NotFoundError: a place or the version does not exist.
    """
    scope = scope_of(ctx, places, listed)
    index = gold_index(ctx, wish.only)
    if not (scope.directories and wish.is_plain) or ctx.engine.name == "dask":
        return Begun(scope, index, None)
    # What earlier scans read is told by columns of Arrow.
    names = ScanNames(ctx.settings.home.value, ctx.actor.uid, os.fsencode(scope.directories[0]))
    return Begun(scope, index, None if names.are_there else _first(ctx, scope, index, wish))


def plan_of(index: GoldIndex) -> DigestPlan:
    """Return the digests by which files are compared with gold."""
    algorithms = index.algorithms or (Algorithm.XXH3_128,)
    return DigestPlan(algorithms[0], algorithms[1:])


def _first(ctx: Context, scope: Scope, index: GoldIndex, wish: Wish) -> BegunPlace | None:
    """Have workers look through the first directory; what cannot be begun is said later."""
    place = scope.directories[0]
    try:
        sieve = SieveFile(*Sizes(index, wish.min_size).tables(SMALL), memoryview(array("Q")))
    except OSError:
        return None
    with suppress(OSError, DataguardError):
        left_out = scope.left_out(place)
        store = store_of(ctx, place, left_out=left_out, polite=True, rate=wish.rate)
        sifted = store.sifted(sieve.name)
        return BegunPlace(sifted, sieve, sifted.scan(plan_of(index), read=True))
    sieve.close()
    return None
