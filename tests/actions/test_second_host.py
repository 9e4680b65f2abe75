"""A second host of the same data: its home is a copy of the catalog, and knows nothing else."""

from __future__ import annotations

import json
import os

import pytest

from dataguard.cli import main
from dataguard.stores import filesystem
from support.loopimages import attached_again, mounted_image, why_no_loop
from support.openings import opened_below

FILES = 300


class Host:
    """A host by its name, with its own home."""

    def __init__(self, top, name, monkeypatch, capfd):
        self.home = top / f"home-{name}"
        self._name = name
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def ask(self, *words):
        """Run one command on this host; exit code and the object that it wrote."""
        name = os.uname_result((*os.uname()[:1], self._name, *os.uname()[2:]))
        with self._monkeypatch.context() as patch:
            patch.setattr(os, "uname", lambda: name)
            patch.setenv("DATAGUARD_HOME", str(self.home))
            self._capfd.readouterr()
            code = main([*words, "--format", "json"])
        return code, json.loads(self._capfd.readouterr().out)


@pytest.fixture
def hosts(tmp_path, monkeypatch, capfd):
    """Make hosts by name."""
    return lambda name: Host(tmp_path, name, monkeypatch, capfd)


def fill(gold):
    os.makedirs(f"{gold}/dir")
    for number in range(FILES):
        with open(f"{gold}/dir/{number}", "w", encoding="ascii") as file:
            file.write(f"content {number}\n")
    os.symlink("dir/1", f"{gold}/link")


def copied(first, second):
    """Register, and copy the catalog to the second host."""
    assert first.ask("catalog", "copy", str(second.home))[0] == 0
    assert not (second.home / "state").exists() or not os.listdir(second.home / "state")
    return second


def checks_without_opening(host, gold):
    """Pass the gate and the quick audit; return the names of the files opened meanwhile."""
    with opened_below(gold) as opened:
        output = f"{os.path.dirname(gold)}/outputs"
        code, gate = host.ask("gate", "--input", "faces@1", "--output", output)
        assert (0, True) == (code, gate["allowed"]), gate
        code, audit = host.ask("audit", "--level", "quick", "faces@1")
        assert (0, True, FILES, 0) == (
            code,
            audit["complete"],
            audit["checked_files"],
            audit["checked_bytes"],
        )
        assert audit["versions"][0]["baseline"]
    return opened


@pytest.fixture
def settled(monkeypatch):
    """Let no file be too young: those of a test are made in the tick in which they are read."""
    monkeypatch.setattr(filesystem, "_tick_ns", lambda _kind, **_: 0)


@pytest.mark.usefixtures("settled")
def test_second_home_of_one_host_opens_no_file(hosts, tmp_path):
    gold = str(tmp_path / "gold")
    fill(gold)
    first, second = hosts("a"), hosts("a")
    second.home = tmp_path / "second"
    assert first.ask("register", "faces", gold)[0] == 0
    copied(first, second)
    assert [] == checks_without_opening(second, gold)
    with opened_below(gold) as opened:
        assert second.ask("audit", "--level", "full", "faces@1")[0] == 0
    assert FILES <= len(opened)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_second_host_with_another_device_number_opens_no_file(hosts, tmp_path, monkeypatch, kind):
    """An image that two machines attach one after another stands for a file system they share."""
    if reason := why_no_loop(kind):
        pytest.skip(reason)
    monkeypatch.setattr(filesystem, "SHARED", filesystem.SHARED | {kind})
    first, second = hosts("a"), hosts("b")
    with mounted_image(kind, tmp_path) as image:
        gold = f"{image.top}/gold"
        fill(gold)
        assert first.ask("register", "faces", gold)[0] == 0
        copied(first, second)
        before = os.stat(gold).st_dev
        with attached_again(image):
            assert before != os.stat(gold).st_dev
            assert [] == checks_without_opening(second, gold)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_local_file_system_with_another_device_number_opens_no_file(hosts, tmp_path, kind):
    if reason := why_no_loop(kind):
        pytest.skip(reason)
    host = hosts("a")
    with mounted_image(kind, tmp_path) as image:
        gold = f"{image.top}/gold"
        fill(gold)
        if filesystem.describe(gold, "a").fsid == os.stat(gold).st_dev:
            pytest.skip("this kernel does not tell a file system's UUID")
        assert host.ask("register", "faces", gold)[0] == 0
        with attached_again(image):
            assert [] == checks_without_opening(host, gold)
