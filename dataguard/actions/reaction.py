"""What the policy wants done about findings: quarantine, and a command of the site."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from dataguard.actions.standing import quarantine
from dataguard.errors import ConflictError, NotFoundError
from dataguard.model.dataset import VersionState
from dataguard.model.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dataguard.actions.context import Context
    from dataguard.model.alert import Alert
    from dataguard.model.finding import Finding

__all__ = ["SiteCommand", "quarantine_for"]

_WAITING = 1_000
_SHOWN = 500


def quarantine_for(
    ctx: Context, findings: Iterable[Finding]
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Quarantine the versions of findings for which the policy wants it.

    Returns the versions that were, and the findings for which it is to be tried again: the catalog
    was busy. One that is exempted quarantines nothing, and a version that was quarantined stays so.
    """
    wanted = {
        (one.dataset, one.version): one
        for one in findings
        if one.code.name in ctx.policy.watch.quarantine_on
        and one.severity is not Severity.INFO
        and one.dataset is not None
        and one.version is not None
    }
    done, busy = [], []
    for (dataset, number), finding in wanted.items():
        try:
            if _quarantined(ctx, str(dataset), int(number or 0), finding):
                done.append(f"{dataset}@{number}")
        except ConflictError:
            busy.append(finding)  # or somebody else was quicker: the next look at its state tells
        except NotFoundError:
            continue
    return tuple(done), tuple(busy)


def _quarantined(ctx: Context, dataset: str, number: int, finding: Finding) -> bool:
    if ctx.catalog.version(dataset, number).state is not VersionState.ACTIVE:
        return False
    path = finding.path.decode("utf-8", "backslashreplace")
    reason = f"watch: {finding.code.name} {finding.code.title}: {path or 'the whole version'}"
    quarantine(ctx, f"{dataset}@{number}", reason)
    return True


class SiteCommand:
    """Runs the policy's command for one alert after the other, on a thread of its own.

    Each gets the alert as JSON on its standard input, runs in a process group of its own, and is
    ended with its whole group after the timeout. `said` is told what failed.
    """

    def __init__(
        self, command: Sequence[str], timeout_s: float, said: Callable[[str], None]
    ) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._said = said
        self._alerts: Queue[Alert | None] = Queue(_WAITING)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, alerts: Iterable[Alert]) -> None:
        """Have the command run for alerts; where too many wait, it says which got none."""
        if not self._command:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="site-command", daemon=True)
            self._thread.start()
        for alert in alerts:
            if self._alerts.full():
                self._said(f"no command was run for {alert.id}: {_WAITING} alerts wait for it")
            else:
                self._alerts.put(alert)

    def close(self, wait_s: float = 5.0) -> None:
        """Let what waits be done for some seconds; say how much was not."""
        if self._thread is None:
            return
        with contextlib.suppress(Full):  # then it ends by the flag, which it sees a little later
            self._alerts.put_nowait(None)
        self._thread.join(wait_s)
        self._ending.set()
        self._end_command()
        self._thread.join(1.0)
        left = sum(one is not None for one in self._alerts.queue)
        if left > 0:
            self._said(f"no command was run for {left} alerts: the watcher ended")

    def _end_command(self) -> None:
        """End the command that runs now, with all that it started."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _work(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(Empty):
                alert = self._alerts.get(timeout=0.5)
                if alert is None:
                    return
                trouble = self._tried(alert)
                if trouble:
                    self._said(f"command {self._command[0]} for {alert.id}: {trouble}")

    def _tried(self, alert: Alert) -> str:
        """Run the command; return what went wrong."""
        data = json.dumps({"id": alert.id, **alert.data}).encode() + b"\n"
        try:
            process = self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        except OSError as err:
            return f"cannot be started: {err.strerror}"
        try:
            _, complaint = process.communicate(data, timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            self._end_command()
            process.communicate()
            return f"not done after {self._timeout_s:g} s, and ended"
        finally:
            self._process = None
        if process.returncode == 0:
            return ""
        words = complaint[:_SHOWN].decode("utf-8", "replace").strip()
        return f"exit code {process.returncode} {words}".rstrip()
