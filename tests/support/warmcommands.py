"""Commands as users give them, forked from a server that has loaded everything already.

A start costs a tenth of a second in place of one: what a suite of hundreds of starts needs. The
command is the real one, with its own process, environment, streams and exit code.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, Self

import dataguard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.context import ForkServerContext, ForkServerProcess
    from types import TracebackType

__all__ = ["Outcome", "Running", "Shell", "server"]

_ENTRIES = ("support.workplace", "support.namespaces", "support.seccomp")
"""The modules of what is called before commands, which bring pytest: not to be loaded for each."""

_ATTACHING_S = 0.02
"""Between being seized and being stopped by strace pass some microseconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: its exit code (negative: the signal that ended it) and its streams."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The object that `--format json` wrote."""
        return json.loads(self.out)

    @property
    def said(self) -> Any:
        """The object that `--format json` wrote: a report, or else the error."""
        return json.loads(self.out or self.err.splitlines()[-1])


@dataclass(frozen=True, slots=True)
class _Start:
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    streams: str
    entry: Callable[[], None] | None
    traced: bool


class Running:
    """A command on its way, in a session of its own."""

    def __init__(self, process: ForkServerProcess, streams: str) -> None:
        self._process = process
        self._streams = streams
        self.pid: int = process.pid

    def wait(self, timeout_s: float = 60) -> int:
        """Return the exit code, negative where a signal ended it.

        Raises:
            TimeoutError: it took longer; it is killed.
        """
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"the command took longer than {timeout_s} s: {self._read('err')}")
        return self._process.exitcode

    def outcome(self, timeout_s: float = 60) -> Outcome:
        """Wait and return everything; to be asked for once."""
        try:
            return Outcome(self.wait(timeout_s), self._read("out"), self._read("err"))
        finally:
            self.end()

    def kill(self) -> None:
        """End the command and all its children without a warning."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.join()

    def end(self) -> None:
        """Leave nothing behind."""
        if self._process.exitcode is None:
            self.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # children that outlived it
        shutil.rmtree(self._streams, ignore_errors=True)

    def _read(self, name: str) -> str:
        with open(os.path.join(self._streams, name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


@dataclass(frozen=True, slots=True)
class Shell:
    """Where commands are given: the home, more environment, the directory.

    `entry` is called in the new process before the command (a function of a module, or a
    `partial` of one): it may enter namespaces or change the user.
    """

    home: str
    directory: str = "/"
    environment: tuple[tuple[str, str], ...] = ()
    entry: Callable[[], None] | None = None

    def start(self, *arguments: object, traced: bool = False) -> Running:
        """Start a command; a `traced` one waits until strace has attached."""
        streams = tempfile.mkdtemp(prefix="command-")
        start = _Start(
            tuple(str(argument) for argument in arguments),
            self._environment(),
            self.directory,
            streams,
            self.entry,
            traced,
        )
        process = server().Process(target=_run, args=(start,))
        process.start()
        return Running(process, streams)

    def call(self, *arguments: object, timeout_s: float = 60) -> Outcome:
        """Give a command and wait for it."""
        return self.start(*arguments).outcome(timeout_s)

    def ask(self, *arguments: object, codes: Sequence[int] = (0,)) -> dict[str, Any]:
        """Give a command that has to end with one of these codes; return its JSON."""
        words = [str(argument) for argument in arguments]
        at = words.index("--") if "--" in words else len(words)
        done = self.call(*words[:at], "--format", "json", *words[at:])
        assert done.code in codes, (words, done)
        return done.report

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DATAGUARD_")}
        given = {"DATAGUARD_HOME": self.home, "DATAGUARD_TRACEBACK": "", **dict(self.environment)}
        return {k: v for k, v in {**kept, **given}.items() if v}


@cache
def server() -> ForkServerContext:
    """Return what forks processes that have loaded everything."""
    context = multiprocessing.get_context("forkserver")
    # pandas is loaded by pyarrow where it is installed; what is not there is left out.
    context.set_forkserver_preload([*_modules(), "alembic.command", "pandas", __name__, *_ENTRIES])
    with _importable(os.path.dirname(os.path.dirname(__file__))):
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _importable(directory: str) -> Iterator[None]:
    """Let interpreters that start meanwhile import from a directory; they know no other path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (directory, before)))
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(dataguard.__path__, "dataguard."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            yield module.name


def _run(start: _Start) -> None:
    os.setsid()
    os.umask(0o022)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(os.path.join(start.streams, name), flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(start.environment)
    if start.entry is not None:
        start.entry()
    os.chdir(start.directory)
    if start.traced:
        _await_tracer()

    from dataguard.cli.main import main

    sys.argv = ["dataguard", *start.arguments]
    sys.exit(main())


def _await_tracer() -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with open("/proc/self/status", encoding="utf-8") as lines:
            if any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines):
                time.sleep(_ATTACHING_S)
                return
        time.sleep(0.001)
    raise TimeoutError("nobody traces this process")
