"""Auditing switched on for as long as somebody of us listens, and off again only if it was us.

Several runs at once share it by locks in a directory of root's: each that asked for it holds one,
and the last takes back what the first did. What a killed run left on, the
next one finds there, and so does whoever marks it as interrupted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from dataguard.sandbox import auditsocket

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DIRECTORY", "switch_off_left", "switched_on"]

DIRECTORY = "/run/dataguard"

_GATE, _USERS, _OURS = "audit.gate", "audit.users", "audit.switched-on"


@contextlib.contextmanager
def switched_on(directory: str = DIRECTORY) -> Iterator[None]:
    """Have the kernel audit meanwhile; a daemon that owns the audit is left alone.

    Raises:
        OSError: the directory cannot be used, or the kernel refuses.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    users = _open(directory, _USERS)
    try:
        with _alone(directory):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not auditsocket.state().enabled:
                os.close(_open(directory, _OURS))
                auditsocket.switch(on=True)
        try:
            yield
        finally:
            # A job has ended here, and its record matters more: the next run finds what is left on.
            with contextlib.suppress(OSError), _alone(directory):
                _leave(directory, users)
    finally:
        os.close(users)


def switch_off_left(directory: str = DIRECTORY) -> None:
    """Switch off what a killed run left on, unless others of us still listen.

    Raises:
        OSError: the directory cannot be used, or the kernel refuses.
    """
    if not os.path.exists(os.path.join(directory, _OURS)):
        return
    users = _open(directory, _USERS)
    try:
        with _alone(directory):
            _leave(directory, users)
    finally:
        os.close(users)


def _leave(directory: str, users: int) -> None:
    """Switch off what one of us switched on, unless others of us are still there."""
    ours = os.path.join(directory, _OURS)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.path.exists(ours):
        if auditsocket.state().daemon == 0:
            auditsocket.switch(on=False)
        os.unlink(ours)


@contextlib.contextmanager
def _alone(directory: str) -> Iterator[None]:
    gate = _open(directory, _GATE)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield
    finally:
        os.close(gate)


def _open(directory: str, name: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(os.path.join(directory, name), flags, 0o600)
