"""A watcher that runs while a test looks on: the command, or the action with a scripted source."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from dataguard.actions import watchcomparing, watchloop
from dataguard.actions.settings import load, load_policy
from dataguard.actions.watch import Request, watch
from dataguard.actions.watchtelling import Outlets
from dataguard.cli.opening import open_context
from dataguard.cli.progress import choose
from dataguard.model.watch import ChangeKind, Coverage, Gap, GapKind, Source, WatchEvent, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Command", "Scripted", "Session", "watching", "watching_command"]

PATIENCE_S = 30.0


class Scripted:
    """A source that sees what a test says."""

    name = Source.FANOTIFY

    def __init__(self) -> None:
        self.started: list[bytes] = []
        self.closed = 0
        self.crowds: list[bool] = []
        self.failure: Exception | None = None
        self._queue: queue.Queue = queue.Queue()

    def unavailable(self, root: bytes) -> str | None:
        del root

    def start(self, roots: Sequence[bytes]) -> tuple[Coverage, ...]:
        self.started += roots
        return tuple(Coverage(root, self.name, "script", (), ()) for root in roots)

    def read(self, timeout: float) -> tuple:
        if self.failure is not None:
            raise self.failure
        with contextlib.suppress(queue.Empty):
            return (self._queue.get(timeout=min(timeout, 0.05)),)
        return ()

    def crowd(self, *, crowded: bool) -> None:
        if self.crowds[-1:] != [crowded]:
            self.crowds.append(crowded)

    def close(self) -> None:
        self.closed += 1

    def event(self, path, kind=ChangeKind.CLOSED, *, root=None, **more) -> None:
        """Say that something happened at a path."""
        top = self.started[0] if root is None else os.fsencode(root)
        self._queue.put(WatchEvent(top, os.fsencode(path), kind, datetime.now(UTC), **more))

    def gap(self, kind=GapKind.OVERFLOW, path=None) -> None:
        """Say that something was not seen."""
        root = self.started[0]
        place = root if path is None else os.fsencode(path)
        self._queue.put(Gap(root, place, kind, f"a gap: {kind}", datetime.now(UTC)))


@dataclass
class Session:
    """The action at work in a thread: what it told so far."""

    source: Scripted
    findings: list = field(default_factory=list)
    alerts: list = field(default_factory=list)
    remarks: list = field(default_factory=list)
    failure: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self, condition, what="that"):
        """Wait until a condition holds of this."""
        end = time.monotonic() + PATIENCE_S
        while not condition(self):
            if self.failure is not None:
                raise self.failure
            assert time.monotonic() < end, (what, self.findings, self.remarks)
            time.sleep(0.01)

    def wait_for(self, *wanted):
        """Wait until findings of these codes and paths were told, in any order."""
        wanted = {(code, os.fsencode(path)) for code, path in wanted}
        self.wait(lambda one: wanted <= {(f.code.name, f.path) for f in one.findings}, wanted)

    def told(self):
        """Codes and paths of all findings so far."""
        return [(one.code.name, os.fsdecode(one.path)) for one in self.findings]


@contextlib.contextmanager
def watching(home, *names, interval=timedelta(hours=1), source=None, is_ready=True, environ=None):
    """The action at work with a scripted source, until the block ends."""
    session = Session(source or Scripted())
    request = Request(
        names,
        Outlets(session.findings.extend, session.alerts.extend, session.remarks.append),
        time.monotonic,
    )

    def run() -> None:
        try:
            settings = load({}, {"DATAGUARD_HOME": str(home)}, workspace=None)
            policy = load_policy(settings).policy
            with open_context(settings, policy, choose("never", quiet=True)) as ctx:
                watch(
                    ctx,
                    request,
                    new_watcher=lambda: session.source,
                    interval=interval,
                    is_over=session.over.is_set,
                    environ=environ or {},
                )
        except BaseException as err:  # noqa: BLE001  the test gets it
            session.failure = err

    thread = threading.Thread(target=run)
    before = time.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchloop, "_BEAT_S", 0.05)
        patch.setattr(watchloop, "_TICK_S", 0.05)
        patch.setattr(watchcomparing, "_HELD_S", 0.3)
        thread.start()
        try:
            if is_ready:
                session.wait(lambda one: one.source.started, "start")
                session.wait(lambda _: _newest_beat(home) > before, "the first comparison")
            yield session
        finally:
            session.over.set()
            thread.join(PATIENCE_S)
    assert not thread.is_alive()
    if session.failure is not None:
        raise session.failure


def _newest_beat(home):
    return max((one.stat().st_mtime for one in home.glob("state/watch/*/*.json")), default=0.0)


class Command:
    """`dataguard watch` as a process; its lines are read while they are written."""

    def __init__(self, *words, env=None, program=("-m", "dataguard")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, "watch", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=env,
        )
        self.lines: list[str] = []
        self.remarks: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in (
                (self.process.stdout, self.lines),
                (self.process.stderr, self.remarks),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def rows(self):
        """The findings so far, of `--format jsonl`."""
        return [json.loads(line) for line in [*self.lines]]

    def wait(self, condition, seconds=PATIENCE_S):
        """Wait until a condition holds of this."""
        end = time.monotonic() + seconds
        while not condition(self):
            assert self.process.poll() is None, self.remarks
            assert time.monotonic() < end, (self.lines[-5:], self.remarks)
            time.sleep(0.02)

    def wait_for(self, *paths):
        """Wait until there are findings at these paths."""
        self.wait(lambda one: {*paths} <= {row["path"] for row in one.rows})

    def end(self, number=signal.SIGTERM):
        """End it with a signal; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    @staticmethod
    def _read(stream, into) -> None:
        with stream:
            into.extend(iter(stream.readline, ""))


@contextlib.contextmanager
def watching_command(
    *words, env=None, heartbeats=None, program=("-m", "dataguard")
) -> Iterator[Command]:
    """The command at work, until the block ends; with `heartbeats` it has seen all by then.

    `program` is what the interpreter is to run: dataguard, or a script that breaks it first.
    """
    command = Command(*words, env=env, program=program)
    try:
        if heartbeats is not None:
            command.wait(lambda _: any(heartbeats.rglob("*.json")))
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
        command.end()


WRITER = Writer(pid=os.getpid(), uid=0, executable="/bin/sh", command=("sh", "-c", "x"), cgroup="/")
