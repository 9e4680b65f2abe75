"""What a Dask worker does for the engine: one task on one unit, if it is the same dataguard.

Imports nothing of Dask. The unit and the answer are pickles, so that Dask neither looks into them
nor takes an error of the task for one of its own.
"""

from __future__ import annotations

import pickle
import socket
from typing import TYPE_CHECKING, TypeVar, cast

from dataguard import __version__
from dataguard.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answer", "opened", "perform", "request"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")
Answer = tuple[bool, object]
"""`(True, result)` or `(False, error)`."""


def request(task: Callable[[Unit], Result], unit: Unit) -> bytes:
    """Return what `perform` is given."""
    return pickle.dumps((task, unit), protocol=pickle.HIGHEST_PROTOCOL)


def perform(version: str, asked: bytes) -> bytes:
    """Return the pickled answer to a request of a dataguard of this version.

    A worker of another version computes the same only by luck; it does not look at the request.
    """
    return pickle.dumps(_answer(version, asked), protocol=pickle.HIGHEST_PROTOCOL)


def opened(answer: bytes) -> Answer:
    """Return an answer."""
    return cast("Answer", pickle.loads(answer))  # noqa: S301  Dask itself runs on pickles


def _answer(version: str, asked: bytes) -> Answer:
    if version != __version__:
        host = socket.gethostname()
        return False, ConfigurationError(
            f"the Dask worker on {host} has dataguard {__version__}, this is {version}",
            hint=f"install it where workers run: pip install 'dataguard[dask]=={version}'",
        )
    try:
        task, unit = pickle.loads(asked)  # noqa: S301  Dask itself runs on pickles
        return True, task(unit)
    except Exception as error:  # noqa: BLE001  the worker border: the caller raises it again
        return False, error
