"""A watcher's state on a terminal, painted anew whenever there is news."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from dataguard.core.watchview import WatchView
from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, WatchStatus

__all__ = ["TerminalView"]

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_COLUMNS, _ROWS = 80, 24  # of a terminal that does not know its size
_TOP, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


class TerminalView:
    """A `Sink` that shows what it was given on the terminal's second screen, see `WatchView`.

    The terminal is opened anew, so that writing never waits: one that was stopped (Ctrl-S) misses
    frames, and the next one shows all. `close` brings the first screen back.
    """

    def __init__(self, terminal: str, *, color: bool, name: str = "view") -> None:
        self.name = name
        self._terminal = terminal
        self._color = color
        self._view = WatchView()
        self._descriptor = -1

    def send(self, alerts: Sequence[Alert]) -> None:
        """Show alerts.

        Raises:
            StoreUnreachableError: the terminal is gone, or takes nothing now.
        """
        for one in alerts:
            self._view.add(one)
        if alerts:
            self._paint()

    def note(self, status: WatchStatus) -> None:
        """Show how the watcher is.

        Raises:
            StoreUnreachableError: as for `send`.
        """
        self._view.status = status
        self._paint()

    def remark(self, words: str) -> None:
        """Show the latest remark, until the next one.

        Raises:
            StoreUnreachableError: as for `send`.
        """
        self._view.remark = words
        self._paint()

    def close(self) -> None:
        """Bring back what the terminal showed before."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # it is gone, or stopped
                os.write(self._descriptor, _LEAVE.encode())
            os.close(self._descriptor)
            self._descriptor = -1

    def _paint(self) -> None:
        try:
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
                self._descriptor = os.open(self._terminal, flags)
                os.write(self._descriptor, _ENTER.encode())
            size = os.get_terminal_size(self._descriptor)
            columns, rows = size.columns or _COLUMNS, size.lines or _ROWS
            lines = self._view.lines(columns, rows - 1, color=self._color)
            frame = "".join(f"{line}{_REST_OF_LINE}\r\n" for line in lines)
            text = f"{_TOP}{frame}{_REST}".encode("utf-8", "backslashreplace")
            os.write(self._descriptor, text)
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot write to the terminal {self._terminal}: {err.strerror}"
            ) from err
