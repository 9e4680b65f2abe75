"""A private file system: a mark on one sees what everybody does there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.mountcleanup import swept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is done once a second be done more often: the tests only wait for it."""
    monkeypatch.setattr("dataguard.watchers.watcher._HEARTBEAT_S", 0.2)


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a private file system needs root")
    top = tmp_path.resolve() / "private"
    top.mkdir()
    with swept(top.parent):
        subprocess.run(["mount", "-t", "tmpfs", "private", str(top)], check=True)
        yield top
