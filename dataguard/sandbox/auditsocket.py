"""The kernel's audit by its netlink socket: its state, and its records as they come.

Raises `OSError` throughout; see audit(7p) of the kernel (`include/uapi/linux/audit.h`).
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

__all__ = [
    "AuditState",
    "add_rule",
    "listening",
    "receive",
    "remove_rule",
    "rules",
    "state",
    "switch",
]

_FAMILY = 9
_KERNEL = 0
_RECORDS = 1
_GET, _SET, _ENABLED = 1000, 1001, 1
_ADD_RULE, _REMOVE_RULE, _LIST_RULES = 1011, 1012, 1013
_ERROR, _DONE = 2, 3
_REQUEST_ACK = 1 | 4
_RECEIVE_BUFFER_FORCED = 33
_BUFFER_BYTES = 4 << 20
"""Records that wait to be read, with what the kernel needs for each: some thousand."""

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
    _order(_SET, _STATUS.pack(_ENABLED, int(on), *(0,) * 8))


def add_rule(rule: bytes) -> None:
    """Have the kernel record more, by a `struct audit_rule_data`; needs CAP_AUDIT_CONTROL."""
    _order(_ADD_RULE, rule)


def remove_rule(rule: bytes) -> None:
    """Take a rule back, which is given as it was added, or as `rules` returned it."""
    _order(_REMOVE_RULE, rule)


def rules() -> list[bytes]:
    """Return the rules of this host."""
    found: list[bytes] = []
    with _opened() as channel:
        _send(channel, _LIST_RULES, b"")
        while True:
            kind, body = _answer(channel)
            if kind == _DONE:
                return found
            if kind == _LIST_RULES:
                found.append(body)


def listening(buffer_bytes: int = _BUFFER_BYTES) -> socket.socket:
    """Return a socket on which every record arrives from now on; needs CAP_AUDIT_READ."""
    channel = _opened()
    try:
        channel.bind((0, _RECORDS))
        _make_room(channel, buffer_bytes)
    except OSError:
        channel.close()
        raise
    return channel


def _make_room(channel: socket.socket, size: int) -> None:
    """Let so many bytes wait to be read; without CAP_NET_ADMIN as many as the host allows."""
    try:
        channel.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER_FORCED, size)
    except PermissionError:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def receive(channel: socket.socket) -> tuple[int, bytes]:
    """Return type and text of the next record; ENOBUFS where some were lost before it.

    Type 0, which no record has, for what is not of the kernel: a job of root's may send here too.
    """
    message, sender = channel.recvfrom(_MESSAGE_BYTES)
    if sender[0] != _KERNEL:
        return 0, b""
    return _HEADER.unpack_from(message)[1], message[_HEADER.size :]


def _order(kind: int, body: bytes) -> None:
    with _opened() as channel:
        _send(channel, kind, body)
        _await_consent(channel)


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
