"""What the parent orders and what the shim reports: texts in two streams of bytes.

Each is a list of words that end with NUL, which neither a path nor an environment can hold.
"""

from __future__ import annotations

import os

__all__ = [
    "EXEC",
    "FAILS",
    "HOLDS",
    "INSIDE",
    "READY",
    "REFUSED",
    "UNAVAILABLE",
    "Orders",
    "Reports",
    "decode_reports",
    "encode_orders",
]

HOLDS, FAILS, UNAVAILABLE, REFUSED = "holds", "fails", "unavailable", "refused"
"""Kinds of reports: a layer holds; it does not, and the job starts without it; this way of
confining cannot be had here; the job must not be started."""

READY, EXEC = "ready", "exec"
"""All is set up and the job comes next; its program cannot be executed."""

INSIDE = "inside"
"""The number, outside of the process namespace, of the process that goes on inside."""

_REPORT_WORDS = 3


class Orders:
    """The lists of words that were ordered, by name; no order of a name is an empty list.

    A plain class: `dataclasses` alone takes as long to load as everything else here.
    """

    def __init__(self, data: bytes) -> None:
        self._lists: dict[bytes, list[list[bytes]]] = {}
        words = data.split(b"\0")
        at = 0
        while at + 1 < len(words):
            name, count = words[at], int(words[at + 1])
            self._lists.setdefault(name, []).append(words[at + 2 : at + 2 + count])
            at += 2 + count

    def each(self, name: str) -> list[list[bytes]]:
        """Return every list that was ordered under a name, in its order."""
        return self._lists.get(name.encode(), [])

    def firsts(self, name: str) -> list[bytes]:
        """Return the first word of each list under a name."""
        return [words[0] for words in self.each(name)]

    def number(self, name: str) -> int:
        """Return the only number under a name."""
        return int(self.each(name)[0][0])

    def has(self, name: str, word: str) -> bool:
        """Whether a word was ordered under a name."""
        return word.encode() in self.firsts(name)


def encode_orders(lists: list[tuple[str, tuple[bytes, ...]]]) -> bytes:
    """Return lists of words as `Orders` reads them."""
    encoded = bytearray()
    for name, words in lists:
        for word in (name.encode(), str(len(words)).encode(), *words):
            encoded += word + b"\0"
    return bytes(encoded)


class Reports:
    """What the shim tells its parent; the stream ends when the job's program is executed."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.failing: dict[str, str] = {}
        os.set_inheritable(descriptor, False)

    def layer(self, name: str, *, holds: bool, detail: str) -> None:
        """Tell whether a layer holds, and how or why not."""
        if not holds:
            self.failing[name] = detail
        self.tell(HOLDS if holds else FAILS, name, detail)

    def tell(self, kind: str, name: str, detail: str) -> None:
        """Write one report; nobody may be there any more to read it."""
        words = (os.fsencode(word.replace("\0", "")) for word in (kind, name, detail))
        try:
            os.write(self.descriptor, b"".join(word + b"\0" for word in words))
        except BrokenPipeError:
            os._exit(125)

    def close(self) -> None:
        """Close this process's end, so that the job's is the last."""
        os.close(self.descriptor)


def decode_reports(data: bytes) -> list[tuple[str, str, str]]:
    """Return the reports of a stream: kind, name and detail of each."""
    words = [os.fsdecode(word) for word in data.split(b"\0")[:-1]]
    starts = range(0, len(words) - _REPORT_WORDS + 1, _REPORT_WORDS)
    return [(words[at], words[at + 1], words[at + 2]) for at in starts]
