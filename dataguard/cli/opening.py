"""Opens what a command works with: catalog, manifests, engine, identity of the caller."""

import os
from typing import TYPE_CHECKING

from dataguard.actions.context import Context
from dataguard.actions.interruption import mark_interrupted
from dataguard.actions.permission import permission
from dataguard.catalog.repository import Catalog
from dataguard.cli.invocation import utc_now
from dataguard.engines.choose import choose
from dataguard.errors import StoreUnreachableError
from dataguard.sandbox.processes import current_actor, current_process

if TYPE_CHECKING:
    from dataguard.model.policy import Policy
    from dataguard.model.ports import Progress
    from dataguard.model.settings import Settings

__all__ = ["open_context"]


def open_context(settings: "Settings", policy: "Policy", progress: "Progress") -> Context:
    """Return the context of a command; a new home is made where there is none.

    Raises:
        StoreUnreachableError: the home cannot be made.
        DataguardError: the catalog cannot be opened; see `Catalog.open`.
    """
    home = settings.home.value
    try:
        os.makedirs(home, exist_ok=True)
    except OSError as err:
        raise StoreUnreachableError(
            f"cannot make the home {home}: {err.strerror}",
            hint="set DATAGUARD_HOME to a directory that you may write",
        ) from err
    actor = current_actor()
    catalog = Catalog.open(
        settings.catalog.value,
        events=os.path.join(home, "events"),
        clock=utc_now,
        actor=actor,
        allow=permission(policy),
    )
    context = Context(
        settings=settings,
        policy=policy,
        catalog=catalog,
        engine=choose(settings.engine.value, settings.workers.value),
        clock=utc_now,
        progress=progress,
        actor=actor,
        process=current_process(),
    )
    mark_interrupted(context)
    return context
