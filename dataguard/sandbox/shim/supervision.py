"""The job's parent: it starts the job, passes signals on, and outlives nobody.

In a process namespace it is the first process: the kernel ends all others with it. Elsewhere every
orphan of the job becomes its child, and it ends them one by one. Either way it dies with the
process that started it, which is how a killed `run` leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import signal

from dataguard.sandbox.shim import kernel
from dataguard.sandbox.shim.orders import EXEC, INSIDE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.sandbox.shim.orders import Orders, Reports

__all__ = ["die_with", "hold_signals", "start", "step_aside"]

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LEFT_TO_JOB = (signal.SIGINT, signal.SIGQUIT)
_AWAITED = (signal.SIGCHLD, *PASSED_ON)
_RESET = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_PARENT_DEATH, _SUBREAPER = 1, 36
_SEARCHED = (errno.ENOENT, errno.ENOTDIR)
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127
_DEFAULT_PATH = b"/bin:/usr/bin"


def hold_signals() -> dict[int, bool]:
    """Keep signals for the job from ending this process; returns those that are ignored."""
    ignored: dict[int, bool] = {
        s: signal.getsignal(s) is signal.SIG_IGN for s in (*PASSED_ON, *LEFT_TO_JOB)
    }
    for number in LEFT_TO_JOB:
        signal.signal(number, signal.SIG_IGN)  # the terminal sends it to the job as well
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    return ignored


def die_with(parent: int) -> None:
    """Let this process be killed when its parent ends, also if that has happened already."""
    kernel.prctl(_PARENT_DEATH, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def step_aside(reports: Reports) -> None:
    """Become the first process of the new process namespace; the old one waits for it.

    The old process never returns from here: it ends with the code of the new one.
    """
    alive, held = os.pipe()
    child = os.fork()
    if child:
        reports.tell(INSIDE, "process", str(child))
        reports.close()
        os.close(alive)
        os._exit(_wait(child, sender=os.getppid(), forward=kernel.send_on))  # and closes `held`
    os.close(held)
    kernel.prctl(_PARENT_DEATH, signal.SIGKILL)
    os.set_blocking(alive, False)
    try:
        if os.read(alive, 1) == b"":
            os._exit(_CANNOT_EXECUTE)  # the old process ended before it could take us along
    except BlockingIOError:
        pass
    # The end stays open: nothing is read from it any more.


def start(orders: Orders, reports: Reports, ignored: dict[int, bool], *, first: bool) -> int:
    """Start the job and return its exit code when it and all it left behind have ended."""
    if not first:
        kernel.prctl(_SUBREAPER, 1)
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        _become(orders, reports, ignored, supervisor)
    reports.close()
    if first:
        return _wait(child, sender=None, forward=os.kill)
    # Killed outright it could end nobody; asked to end, it ends the others before.
    kernel.prctl(_PARENT_DEATH, signal.SIGTERM)
    code = _wait(child, sender=os.getppid(), forward=os.kill)
    _end_children()
    return code


def _wait(child: int, *, sender: int | None, forward: Callable[[int, int], None]) -> int:
    """Pass signals on to a child until it ends; returns its exit code, 128 + n for signal n.

    Only what the parent sent is passed on. Whoever signals a whole group, as batch systems do, has
    reached the job already, and it must not get the same signal from each process between.
    Without a `sender` the parent is outside of the namespace, and known by how it sends.
    """
    while True:
        came = signal.sigwaitinfo(_AWAITED)
        if came.si_signo == signal.SIGCHLD:
            code = _reaped(child)
            if code is not None:
                return code
        elif came.si_code == kernel.SENT_ON if sender is None else came.si_pid == sender:
            if sender is not None and os.getppid() != sender:
                _end_children()
                os._exit(_CANNOT_EXECUTE)
            try:  # noqa: SIM105  contextlib takes time to load
                forward(child, came.si_signo)
            except ProcessLookupError:
                pass  # it has just ended, and the next signal says so


def _reaped(child: int) -> int | None:
    """Forget what has ended; returns the code of the child if it is among that."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if pid == 0:
            return None


def _end_children() -> None:
    """Kill all children until there are none; those of each killed one become children here."""
    while True:
        for child in _children():
            try:  # noqa: SIM105  contextlib takes time to load
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children", "rb") as file:
        return [int(word) for word in file.read().split()]


def _become(orders: Orders, reports: Reports, ignored: dict[int, bool], parent: int) -> None:
    """Become the job's program; never returns."""
    die_with(parent)
    for number, is_ignored in ignored.items():
        signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [int(word) for word in orders.firsts("blocked")])
    words = orders.firsts("word")
    environment = dict(word.split(b"=", 1) for word in orders.firsts("variable"))
    code = _execute(words, environment, reports)
    os._exit(code)


def _execute(words: list[bytes], environment: dict[bytes, bytes], reports: Reports) -> int:
    """Replace this process by a program, or return the code that env(1) has where that fails.

    Not `os.execvpe`: it imports a module, which may lie where nothing can be read any more.
    """
    name, why = words[0], errno.ENOENT
    places = [b""] if b"/" in name else environment.get(b"PATH", _DEFAULT_PATH).split(b":")
    for place in places if name else ():  # no program has an empty name
        try:
            os.execve(os.path.join(place, name), words, environment)  # noqa: S606  the job
        except OSError as err:
            if err.errno not in _SEARCHED:
                why = err.errno or why
    reports.tell(EXEC, os.fsdecode(name), os.strerror(why))
    return _NOT_FOUND if why in _SEARCHED else _CANNOT_EXECUTE
