"""Starts a job that nothing confines, and waits for its end."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from dataguard.sandbox.signals import passed_on

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANNOT_EXECUTE", "NOT_FOUND", "run_job"]

CANNOT_EXECUTE = 126
NOT_FOUND = 127


def run_job(command: tuple[str, ...], *, directory: str, environment: Mapping[str, str]) -> int:
    """Run a command with this process's standard streams and return its exit code.

    The job also gets the other descriptors that the caller left open for its programs, as a job
    server of make or a shell's `3>log`; those of this process close by themselves (PEP 446).

    As a shell would: 128 + n where signal n ended it, 127 where it was not found, 126 where it
    cannot be executed. SIGINT reaches the job from the terminal, SIGTERM, SIGHUP, SIGUSR1 and
    SIGUSR2 are passed on; none of them ends this process before the job.
    """
    with passed_on() as waiting:
        try:
            process = subprocess.Popen(
                command, cwd=directory, env=dict(environment), close_fds=False
            )
        except FileNotFoundError:
            return NOT_FOUND
        except OSError:
            return CANNOT_EXECUTE
        waiting.attend(process)
        code = process.wait()
    return code if code >= 0 else 128 - code
