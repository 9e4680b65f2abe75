"""A small gold tree, a private home, and the command line to ask about them."""

from __future__ import annotations

import os
import signal

import pytest
from asking import World

from support.mountcleanup import swept


@pytest.fixture
def world(tmp_path, capfd, monkeypatch):
    top = tmp_path.resolve()
    world = World(top, capfd)
    (world.gold / "dir").mkdir(parents=True)
    (world.gold / "a").write_bytes(b"hello\n")
    (world.gold / "dir" / "b").write_bytes(b"deep\n")
    (world.gold / "link").symlink_to("a")
    (world.gold / "empty").mkdir()
    monkeypatch.setenv("DATAGUARD_HOME", str(world.home))
    monkeypatch.setenv("HOME", str(top))
    monkeypatch.chdir(top)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with swept(top):
        yield world
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def registered(world):
    """The gold tree, registered as faces@1."""
    world.register()
    return world


@pytest.fixture(scope="session", autouse=True)
def no_terminal_width():
    """Help is wrapped for the width of the terminal: let it be the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        patch.setenv("TERMINAL_WIDTH", "100")
        patch.delenv("NO_COLOR", raising=False)
        yield os.environ["COLUMNS"]
