"""Opens what a command works with: catalog, manifests, engine, identity of the caller."""

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dataguard.actions.context import Context
from dataguard.actions.footprint import gold_elsewhere, gold_of, own_places, refuse_gold
from dataguard.actions.interruption import mark_interrupted
from dataguard.actions.permission import permission
from dataguard.catalog.repository import Catalog
from dataguard.cli.clock import utc_now
from dataguard.engines.choose import choose
from dataguard.errors import StoreUnreachableError
from dataguard.sandbox.processes import current_actor, current_process

if TYPE_CHECKING:
    from dataguard.engines.interface import Engine
    from dataguard.model.policy import Policy
    from dataguard.model.ports import Progress
    from dataguard.model.settings import Settings

__all__ = ["open_context", "temporary_places"]

_TEMPORARY = ("TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR")
"""What Python and SQLite take as places for temporary files."""


def temporary_places() -> dict[str, str]:
    """Return the places for temporary files that the caller named, by variable."""
    return {name: os.environ[name] for name in _TEMPORARY if os.environ.get(name)}


def open_context(
    settings: "Settings", policy: "Policy", progress: "Progress", *, reads: bool = False
) -> Context:
    """Return the context of a command; a new home is made where there is none.

    With `reads` the engine's workers start before anything that they had better not inherit.

    Raises:
        PolicyError: home, catalog or temporary directory lie in gold.
        StoreUnreachableError: the home cannot be made.
        DataguardError: the catalog cannot be opened; see `Catalog.open`.
    """
    home, actor = settings.home.value, current_actor()
    written = own_places(settings, temporary_places())
    # Before anything is made, and again with what the catalog knows.
    refuse_gold(policy, actor, gold_elsewhere(settings, utc_now, actor), written)
    try:
        os.makedirs(home, exist_ok=True)
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot make the home {home}: {err.strerror}",
            hint="set DATAGUARD_HOME to a directory that you may write",
        ) from err
    with ExitStack() as opened:
        engine = choose(settings.engine.value, settings.workers.value, settings.scheduler.value)
        opened.callback(engine.close)
        if reads:
            _start(engine)
        catalog = Catalog.open(
            settings.catalog.value,
            events=os.path.join(home, "events"),
            clock=utc_now,
            actor=actor,
            allow=permission(policy),
        )
        opened.callback(catalog.close)
        refuse_gold(policy, actor, gold_of(catalog), written)
        context = Context(
            settings=settings,
            policy=policy,
            catalog=catalog,
            engine=engine,
            clock=utc_now,
            progress=progress,
            actor=actor,
            process=current_process(),
        )
        mark_interrupted(context)
        opened.pop_all()  # the context closes them
    return context


def _start(engine: "Engine") -> None:
    """Start workers which have what they need from here, where it is loaded once."""
    import dataguard.stores.localread  # noqa: F401  what they run

    engine.start()
