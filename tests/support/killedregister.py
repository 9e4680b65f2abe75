"""A `register` that kills itself, as SIGKILL does, once so many bytes are read.

Run as `python -m support.killedregister BYTES REQUEST`, the request as a JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from dataguard.actions.register import register
from dataguard.actions.registration import Request
from dataguard.actions.settings import load, load_policy
from dataguard.cli.opening import open_context
from dataguard.model.digest import Algorithm
from dataguard.model.journal import Amount, Pace
from dataguard.model.ports import NoProgress
from dataguard.stores.expected import load_expectation

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


def register_until(read: int, place: Path, **request: Any) -> None:
    """Register a place as `faces` in a process that is killed after so many bytes."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "tests")])
    words = json.dumps({"name": "faces", "location": str(place), **request})
    done = subprocess.run(
        [sys.executable, "-m", "support.killedregister", str(read), words],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        capture_output=True,
    )
    assert -signal.SIGKILL == done.returncode, done.stderr.decode()


def main(limit: str, words: str) -> None:
    request = json.loads(words)
    if "digest" in request:
        request["digest"] = Algorithm(request["digest"])
    if "expect" in request:
        request["expect"] = load_expectation(request["expect"])
    for name, kind in (("also", Algorithm), ("exclude", str)):
        request[name] = tuple(map(kind, request.get(name, ())))
    settings = load({}, os.environ, workspace=None)
    policy = load_policy(settings).policy
    with open_context(settings, policy, Killer(int(limit))) as context:
        register(context, Request(**request), pace=ALWAYS)


if __name__ == "__main__":
    main(*sys.argv[1:])
