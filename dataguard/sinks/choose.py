"""Makes the sinks that settings name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, assert_never

from dataguard.model.alert import SinkKind
from dataguard.sinks.delivery import Delivery
from dataguard.sinks.outbox import Outbox

if TYPE_CHECKING:
    from dataguard.model.alert import SinkSettings
    from dataguard.sinks.interface import Sink

__all__ = ["make", "open_delivery"]


def open_delivery(settings: SinkSettings, home: str) -> Delivery:
    """Return a sink behind its outbox in a home, delivering what is still in there.

    Raises:
        StoreUnreachableError: the outbox cannot be made.
    """
    directory = os.path.join(home, "state", "outbox", settings.name)
    return Delivery(make(settings), Outbox(directory, settings.limit), limit=settings.limit)


def make(settings: SinkSettings) -> Sink:
    """Return a sink; nothing is opened yet."""
    # Each is loaded only where it is used.
    match settings.kind:
        case SinkKind.JSONL:
            from dataguard.sinks.jsonl import JsonLines  # noqa: PLC0415  as above

            return JsonLines(settings)
        case SinkKind.SYSLOG:
            from dataguard.sinks.syslog import Syslog  # noqa: PLC0415  as above

            return Syslog(settings)
        case SinkKind.JOURNALD:
            from dataguard.sinks.journald import Journald  # noqa: PLC0415  as above

            return Journald(settings)
        case SinkKind.WEBHOOK:
            from dataguard.sinks.webhook import Webhook  # noqa: PLC0415  as above

            return Webhook(settings)
        case SinkKind.PROMETHEUS:
            from dataguard.sinks.prometheus import Prometheus  # noqa: PLC0415  as above

            return Prometheus(settings)
        case _:
            assert_never(settings.kind)
