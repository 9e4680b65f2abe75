"""What every sink of findings offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, WatchStatus

__all__ = ["Sink"]


class Sink(Protocol):
    """A place where alerts go.

    Laws, tested for each implementation: alerts arrive in the order in which they were sent, each
    at least once where `send` returns; `send` raises where one did not arrive, and may then be
    called again with the same; it never takes much longer than its timeout; `close` twice is
    `close` once, and a closed sink opens again when it is used. No secret is in any message.
    """

    @property
    def name(self) -> str:
        """What users call it."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Deliver alerts.

        Raises:
            StoreUnreachableError: they did not arrive, or nobody knows.
        """

    def note(self, status: WatchStatus) -> None:
        """Take note of how the watcher is; most sinks have no use for it.

        Raises:
            StoreUnreachableError: it cannot be written.
        """

    def close(self) -> None:
        """Give everything back."""
