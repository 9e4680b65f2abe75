"""The kernel's audit in tests: whether it is there, and one test at a time that uses it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager

import pytest

from dataguard.sandbox import auditsocket

__all__ = ["alone", "needs_audit", "why_no_audit"]


def why_no_audit():
    """Return why the kernel's audit cannot be used here; empty where it can."""
    try:
        auditsocket.state()
    except OSError as err:
        return f"no audit: {err.strerror}"
    return ""


needs_audit = pytest.mark.skipif(bool(why_no_audit()), reason=why_no_audit() or "-")


@contextmanager
def alone():
    """Let no other session's tests switch the host's auditing meanwhile."""
    with open(os.path.join(tempfile.gettempdir(), "dataguard-audit-tests.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
