"""The kernel's audit by its netlink socket: its state, and its records as they come.

Raises `OSError` throughout; see audit(7p) of the kernel (`include/uapi/linux/audit.h`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from dataguard.model.dataclass import dataclass

__all__ = ["AuditState", "listening", "receive", "state", "switch"]

_FAMILY = 9
_KERNEL = 0
_RECORDS = 1
_GET, _SET, _ENABLED = 1000, 1001, 1
_ERROR = 2
_REQUEST_ACK = 1 | 4
_RECEIVE_BUFFER_FORCED = 33
_BUFFER_BYTES = 4 << 20
_ANSWER_S = 5.0
_HEADER = struct.Struct("=IHHII")
_STATUS = struct.Struct("=10I")
_MESSAGE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class AuditState:
    """Whether the kernel audits, and the process of the daemon that owns the audit (0: none)."""

    enabled: bool
    daemon: int


def state() -> AuditState:
    """Ask the kernel; needs CAP_AUDIT_CONTROL in the first process namespace."""
    with _opened() as channel:
        _send(channel, _GET, b"")
        while True:
            kind, body = _answer(channel)
            if kind == _GET:
                _, enabled, _, daemon = struct.unpack_from("=4I", body)
                return AuditState(enabled != 0, daemon)


def switch(*, on: bool) -> None:
    """Have the kernel audit, or stop."""
    with _opened() as channel:
        _send(channel, _SET, _STATUS.pack(_ENABLED, int(on), *(0,) * 8))
        _await_consent(channel)


def listening() -> socket.socket:
    """Return a socket on which every record arrives from now on; needs CAP_AUDIT_READ."""
    channel = _opened()
    try:
        channel.bind((0, _RECORDS))
        with contextlib.suppress(PermissionError):
            channel.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCED, _BUFFER_BYTES)
    except OSError:
        channel.close()
        raise
    return channel


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Return type and text of the next record; ENOBUFS where some were lost before it.

    Type 0, which no record has, for what is not of the kernel: a job of root's may send here too.
    """
    message, sender = channel.recvfrom(_MESSAGE_BYTES)
    if sender[0] != _KERNEL:
        return 0, b""
    return _HEADER.unpack_from(message)[1], message[_HEADER.size :]


def _opened() -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _FAMILY)
    channel.settimeout(_ANSWER_S)
    return channel


def _send(channel: socket.socket, kind: int, body: bytes) -> None:
    header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_ACK, 1, 0)
    channel.sendto(header + body, (0, 0))


def _await_consent(channel: socket.socket) -> None:
    while _answer(channel)[0] != _ERROR:
        pass


def _answer(channel: socket.socket) -> tuple[int, bytes]:
    kind, body = receive(channel)
    if kind == _ERROR and (code := struct.unpack_from("=i", body)[0]):
        raise OSError(-code, os.strerror(-code))
    return kind, body
