"""A small gold tree and a place to mount on, swept clean at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.mountcleanup import swept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def area(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path.resolve()
    gold = top / "gold"
    (gold / "dir").mkdir(parents=True)
    (gold / "a").write_bytes(b"hello\n")
    (gold / "dir" / "b").write_bytes(b"deep\n")
    os.symlink("a", gold / "link")
    (top / "data").mkdir()
    with swept(top):
        yield top
