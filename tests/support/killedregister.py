"""A `register` that kills itself, as SIGKILL does, once so many bytes are read."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from dataguard.actions.register import register
from dataguard.actions.registration import Request
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.model.digest import Algorithm
from dataguard.model.journal import Amount, Pace
from dataguard.model.ports import NoProgress
from dataguard.stores.expected import load_expectation
from support.warmcommands import server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["register_until"]

ALWAYS = Pace(Amount(1, 1, 0.0), Amount(1, 1, 0.0))


class Killer(NoProgress):
    """Progress that ends the process without a word."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def advance(self, files: int, size: int) -> None:
        del files
        self._left -= size
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def register_until(read: int, place: Path | str, **request: Any) -> None:
    """Register a place as `faces` in a process that is killed after so many bytes."""
    wanted = {"name": "faces", "location": str(place), **request}
    process = server().Process(target=_register, args=(dict(os.environ), read, wanted))
    process.start()
    process.join()
    assert -signal.SIGKILL == process.exitcode


def _register(environment: Mapping[str, str], read: int, request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if "digest" in request:
        request["digest"] = Algorithm(request["digest"])
    if "expect" in request:
        request["expect"] = load_expectation(request["expect"])
    for name, kind in (("also", Algorithm), ("exclude", str)):
        request[name] = tuple(map(kind, request.get(name, ())))
    settings = load({}, os.environ, workspace=None)
    policy = load_policy(settings).policy
    with open_context(settings, policy, Killer(read)) as context:
        register(context, Request(**request), pace=ALWAYS)
