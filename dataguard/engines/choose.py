"""Which engine the settings mean."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dataguard.engines.fitted import FittedEngine
from dataguard.engines.local import LocalEngine
from dataguard.engines.serial import SerialEngine
from dataguard.errors import ConfigurationError

if TYPE_CHECKING:
    from dataguard.engines.interface import Engine

__all__ = ["choose"]


def choose(name: str, workers: str, scheduler: str = "") -> Engine:
    """Return the engine `auto`, `serial`, `local` or `dask`; `auto` is `dask` with a scheduler.

    `workers` is `auto` or a number, `scheduler` the address of a Dask scheduler, or empty for a
    cluster of this machine's processes.

    Raises:
        ConfigurationError: one is not known, or Dask is not installed.
    """
    if workers != "auto" and not (workers.isdigit() and int(workers) > 0):
        raise ConfigurationError(f"`{workers}` is no number of workers", hint="auto, 1, 2, 3 ...")
    match name:
        case "serial":
            return SerialEngine()
        case "auto" | "dask" if scheduler or name == "dask":
            return _dask(scheduler, None if workers == "auto" else int(workers))
        case "auto" | "local":
            return FittedEngine() if workers == "auto" else LocalEngine(int(workers))
        case _:
            raise ConfigurationError(f"no engine `{name}`", hint="auto, serial, local or dask")


def _dask(scheduler: str, workers: int | None) -> Engine:
    if any(find_spec(name) is None for name in ("distributed", "cryptography")):
        raise ConfigurationError(
            "the engine `dask` needs a library that is not installed",
            hint="pip install 'dataguard[dask]'",
        )
    from dataguard.engines.dask import DaskEngine  # noqa: PLC0415  only where it is used

    return DaskEngine(scheduler, workers)
