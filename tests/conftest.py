"""Options and fixtures of all tests."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Timings never decide a test: a busy machine must not fail a law.
settings.register_profile("dataguard", deadline=None)
settings.load_profile("dataguard")

pytest_plugins = [
    "support.loopimages",
    "support.s3servers",
    "support.countingproxy",
    "support.cephcluster",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the full counts of the heavy suites as well"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # The kernel hands out loop devices to whoever asks first: their users take turns.
        if any(name.startswith("loop_") for name in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("loop"))
        if item.get_closest_marker("ceph") is not None:  # one cluster is enough
            item.add_marker(pytest.mark.xdist_group("ceph"))
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="full count: scripts/test --long")
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def heard_interrupts() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and commands inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keep every test away from the settings and the catalog of whoever runs it."""
    home = str(tmp_path_factory.mktemp("home") / "dataguard")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("DATAGUARD_"):
                patch.delenv(name)
        patch.setenv("DATAGUARD_HOME", home)
        yield home
