"""A real catalog in a temporary home, with a clock that ticks a second a call."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from catalogs import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dataguard.catalog.repository import Catalog


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"))


@pytest.fixture
def catalog(home: Home) -> Iterator[Catalog]:
    with closing(home.open()) as opened:
        yield opened
