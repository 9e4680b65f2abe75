"""The outlets of a watcher that shows its state on the terminal."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from dataguard.actions.watchtelling import Outlets
from dataguard.errors import StoreUnreachableError
from dataguard.sinks.terminal import TerminalView

__all__ = ["shown"]

T = TypeVar("T")


@contextlib.contextmanager
def shown(*, color: bool) -> Iterator[Outlets]:
    """Yield outlets that lead to the terminal, which is as it was after the block."""
    view = TerminalView(os.ttyname(sys.stdout.fileno()), color=color)
    try:
        yield Outlets(
            lambda _: None, _patient(view.send), _patient(view.remark), _patient(view.note)
        )
    finally:
        view.close()


def _patient(show: Callable[[T], None]) -> Callable[[T], None]:
    """Return what shows, and goes on where the terminal takes nothing: the next frame has it."""

    def showing(what: T) -> None:
        with contextlib.suppress(StoreUnreachableError):
            show(what)

    return showing
