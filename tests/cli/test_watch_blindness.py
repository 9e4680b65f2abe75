"""`dataguard watch` that goes blind says so: a finding, the metrics and the service manager."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from support.kernelnumbers import kernel_number
from support.mountcleanup import needs_mounts, swept
from support.watching import watching_command

BROKEN = """
import os, sys
from dataguard.cli.main import main
from dataguard.watchers.{module} import {sensor} as Sensor
take = Sensor.take
def dying(self):
    if os.path.exists({trigger!r}):
        raise RuntimeError("it died")
    take(self)
Sensor.take = dying
sys.exit(main(sys.argv[1:]))
"""
SENSORS = {"fanotify": "FanotifySensor", "inotify": "InotifySensor"}


@pytest.fixture
def mounted(world):
    """The gold tree on a file system of its own, registered."""
    with swept(world.top):
        place = world.gold.parent / "private"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "private", str(place)], check=True)
        subprocess.run(["cp", "-a", f"{world.gold}/.", str(place)], check=True)
        world.ask_json("register", "faces", str(place))
        yield place


class Manager:
    """A service manager that listens."""

    def __init__(self, path):
        self.said = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while words := self._socket.recv(4096).decode():
                self.said.append(words)

    def close(self):
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@contextlib.contextmanager
def watcher_of(world, *words, program=("-m", "dataguard"), is_whole=True):
    """The command at work, with what it tells metrics and manager."""
    manager = Manager(str(world.top / "notify"))
    metrics = world.top / "dataguard.prom"
    env = {**os.environ, "NOTIFY_SOCKET": str(world.top / "notify")}
    words = (*words, "--format", "jsonl", "--metrics-file", str(metrics))
    beats = world.home / "state" / "watch" if is_whole else None
    try:
        with watching_command(*words, env=env, heartbeats=beats, program=program) as watcher:
            watcher.manager, watcher.metrics = manager, metrics
            yield watcher
    finally:
        manager.close()


def is_told(watcher, code):
    """Wait until a gap is a finding, and neither metrics nor status say that all is seen."""
    watcher.wait(lambda one: any(row["code"] == code for row in one.rows))
    watcher.wait(lambda one: any("1 of them not in full" in said for said in one.manager.said))
    watcher.wait(
        lambda one: (
            one.metrics.exists() and "dataguard_watch_gaps_total 0" not in one.metrics.read_text()
        )
    )


def is_blind(watcher):
    watcher.wait(lambda one: "dataguard_watch_blind_roots 1" in one.metrics.read_text())
    assert "1 of them not in full" in watcher.manager.said[-1]


@needs_mounts
@pytest.mark.parametrize("source", SENSORS)
def test_unmounted_root_is_told(world, mounted, source):
    with watcher_of(world, "--source", source) as watcher:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)
        is_told(watcher, "DG902")
        is_blind(watcher)


@needs_mounts
@pytest.mark.parametrize("source", SENSORS)
def test_replaced_root_is_told(registered, source):
    with watcher_of(registered, "--source", source) as watcher:
        registered.gold.rename(registered.gold.parent / "elsewhere")
        registered.gold.mkdir()
        is_told(watcher, "DG902")
        watcher.wait_for("a")


@needs_mounts
@pytest.mark.parametrize("source", SENSORS)
def test_root_that_is_mounted_over_is_told(world, mounted, source):
    with watcher_of(world, "--source", source) as watcher:
        subprocess.run(["mount", "-t", "tmpfs", "over", str(mounted)], check=True)
        is_told(watcher, "DG902")
        is_blind(watcher)


@needs_mounts
@pytest.mark.parametrize("source", SENSORS)
def test_reader_that_died_is_told(registered, source):
    trigger = registered.top / "trigger"
    script = BROKEN.format(module=source, sensor=SENSORS[source], trigger=str(trigger))
    with watcher_of(registered, "--source", source, program=("-c", script)) as watcher:
        trigger.touch()
        is_told(watcher, "DG901")
        (registered.gold / "a").write_bytes(b"other\n")
        trigger.unlink()
        watcher.wait_for("a")
        watcher.wait(lambda one: "0 of them not in full" in one.manager.said[-1])


@pytest.mark.xdist_group("sysctl")
def test_queue_that_overflowed_is_told_and_what_it_hid_is_found(registered):
    with (
        kernel_number("fs.inotify.max_queued_events", 256),
        watcher_of(registered, "--source", "inotify") as watcher,
    ):
        watcher.process.send_signal(signal.SIGSTOP)
        names = [f"dir/new-{number}" for number in range(400)]
        for name in names:
            (registered.gold / name).write_bytes(b"x")
        watcher.process.send_signal(signal.SIGCONT)
        is_told(watcher, "DG901")
        watcher.wait_for(*names)
        watcher.wait(lambda one: "0 of them not in full" in one.manager.said[-1])


@pytest.mark.xdist_group("sysctl")
def test_too_few_watches_are_told(registered):
    for number in range(150):
        (registered.gold / f"{number:03}").mkdir()
    registered.register("--append", "--reason", "more")
    with (
        kernel_number("fs.inotify.max_user_watches", 100),
        watcher_of(registered, "--source", "inotify", is_whole=False) as watcher,
    ):
        is_told(watcher, "DG902")
        is_blind(watcher)


@needs_mounts
def test_file_system_without_events_is_told_at_each_start_and_is_no_blindness(world, mounted):
    for name in ("upper", "work", "merged"):
        (mounted / name).mkdir()
    merged = mounted / "merged"
    options = f"lowerdir={world.gold},upperdir={mounted / 'upper'},workdir={mounted / 'work'}"
    words = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    subprocess.run(words, check=True)
    world.ask_json("register", "voices", str(merged))
    beats = world.home / "state" / "watch"
    for _ in range(2):
        # A place of which something is not seen gets no heartbeat.
        with watching_command("voices", "--format", "jsonl", heartbeats=beats) as watcher:
            watcher.wait(lambda one: any(row["code"] == "DG904" for row in one.rows))
            assert 143 == watcher.end()
            told = [(row["code"], row["path"]) for row in watcher.rows if row["code"] != "DG903"]
        assert [("DG904", "")] == told
    found = [
        one for one in world.ask_json("findings", "list")["findings"] if one["state"] == "open"
    ]
    assert [("DG904", "voices", 2)] == [(f["code"], f["dataset"], f["count"]) for f in found]
