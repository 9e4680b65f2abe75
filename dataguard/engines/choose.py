"""Which engine the settings mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.engines.fitted import FittedEngine
from dataguard.engines.local import LocalEngine
from dataguard.engines.serial import SerialEngine
from dataguard.errors import ConfigurationError

if TYPE_CHECKING:
    from dataguard.engines.interface import Engine

__all__ = ["choose"]


def choose(name: str, workers: str) -> Engine:
    """Return the engine `auto`, `serial` or `local` with `auto` or a number of workers.

    Raises:
        ConfigurationError: neither is known.
    """
    if workers != "auto" and not (workers.isdigit() and int(workers) > 0):
        raise ConfigurationError(f"`{workers}` is no number of workers", hint="auto, 1, 2, 3 ...")
    match name:
        case "serial":
            return SerialEngine()
        case "auto" | "local":
            return FittedEngine() if workers == "auto" else LocalEngine(int(workers))
        case _:
            raise ConfigurationError(f"no engine `{name}`", hint="auto, serial or local")
