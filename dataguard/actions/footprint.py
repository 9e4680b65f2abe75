"""Where dataguard itself writes, and that nothing of it lies in gold."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from dataguard.actions.defaulthome import default_home
from dataguard.actions.person import person_of
from dataguard.catalog.address import database_path
from dataguard.catalog.database import Database
from dataguard.catalog.reading import Reader, fetch
from dataguard.catalog.repository import Catalog
from dataguard.catalog.schema import is_empty, revision_of
from dataguard.catalog.tables import REVISIONS
from dataguard.core.areas import gold_area, named_places
from dataguard.core.paths import is_inside
from dataguard.errors import CatalogDamagedError, NotFoundError, PolicyError
from dataguard.model.area import Area, Role
from dataguard.model.home import embedded_catalog
from dataguard.model.placement import Places
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.actions.context import Context
    from dataguard.model.actor import Actor
    from dataguard.model.policy import Policy
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings

__all__ = [
    "gold_elsewhere",
    "gold_of",
    "own_places",
    "refuse_gold",
    "refuse_new",
    "refuse_written",
]


def own_places(settings: Settings, temporary: Mapping[str, str]) -> dict[str, str]:
    """Return what every command may write to, by what it is; `temporary` is by variable.

    Raises:
        ConfigurationError: the catalog's URL makes no sense.
    """
    home, catalog = settings.home.value, database_path(settings.catalog.value)
    own = {f"the home ({settings.home.source})": home, "the catalog": catalog}
    if not is_inside(settings.cache.value, home):
        own[f"the node cache ({settings.cache.source})"] = settings.cache.value
    return {**own, **temporary}


def gold_of(records: Reader) -> tuple[Area, ...]:
    """Return the locations of a catalog as areas, under their registered paths."""
    return tuple(
        Area(one.place, Role.GOLD, f"the location of {one.dataset}@{one.version}")
        for one in records.active_locations()
    )


def gold_elsewhere(settings: Settings, clock: Clock, actor: Actor) -> tuple[Area, ...]:
    """Return the gold of other catalogs at hand, where a new home or catalog is to be made.

    A new catalog knows no gold. Those at hand are that of the home and that of the home which
    would be used if nobody named another; one that cannot be read says nothing.
    """
    home, url = settings.home.value, settings.catalog.value
    homes = [] if os.path.exists(database_path(url)) else [home]
    if not os.path.isdir(home):
        homes.append(settings.host_home or default_home())
    found: list[Area] = []
    for other in homes:
        found += _gold_at(embedded_catalog(other), other, clock, actor)
    return tuple(found)


def refuse_gold(
    policy: Policy, actor: Actor, gold: Iterable[Area], written: Mapping[str, str]
) -> None:
    """Refuse what is to be written, by what it is, where one of its paths lies in gold.

    The paths need not exist. Locations are taken by name, nothing of theirs is touched.

    Raises:
        PolicyError: one does.
        DataguardError: proc cannot be read.
    """
    person, table = person_of(actor), mountinfo.read()
    named = {place: aliases_of(place, table=table) for place in named_places(policy, person)}
    places = Places(person, tuple(gold), named)
    for what, path in written.items():
        found = gold_area(aliases_of(path, table=table), policy, places)
        if found is not None:
            raise PolicyError(
                f"{what} {path} is inside gold: `{found.place}` is {found.source}",
                hint="name a place outside of gold; `dataguard policy explain PLACE` tells",
            )


def refuse_written(ctx: Context, what: str, path: str) -> None:
    """Refuse a file that a user asks for where it would lie in gold.

    Raises:
        PolicyError: it would.
    """
    refuse_gold(ctx.policy, ctx.actor, gold_of(ctx.catalog), {what: path})


def refuse_new(
    settings: Settings, policy: Policy, clock: Clock, actor: Actor, written: Mapping[str, str]
) -> None:
    """Refuse, as `refuse_written`, what a command makes that opens no catalog to work with.

    Raises:
        PolicyError: it would lie in gold.
        DataguardError: the catalog cannot be reached.
    """
    gold = _gold_at(settings.catalog.value, settings.home.value, clock, actor)
    refuse_gold(policy, actor, gold, written)


def _gold_at(url: str, home: str, clock: Clock, actor: Actor) -> tuple[Area, ...]:
    """Return the gold of a catalog; one that is not there or damaged says nothing."""
    if not os.path.isfile(database_path(url)):
        return ()
    events = os.path.join(home, "events")
    try:
        with closing(Database.open(url, create=False)) as database, database.reading() as records:
            # Every schema has locations, and the backup of an older one comes before its upgrade.
            if not is_empty(records) and revision_of(records) in REVISIONS[:-1]:
                return gold_of(Reader(partial(fetch, records)))
        with Catalog.open(url, events=events, clock=clock, actor=actor, create=False) as catalog:
            return gold_of(catalog)
    except (CatalogDamagedError, NotFoundError):
        return ()
