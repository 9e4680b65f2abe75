"""Command lines of others as they may be told on: without the secrets that can be recognised."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["HIDDEN", "without_secrets", "words_without_secrets"]

HIDDEN = "***"
"""What stands for a secret."""

_NAMES = frozenset(("auth", "credential", "credentials", "key", "pass", "pwd"))
_ENDINGS = ("passphrase", "passwd", "password", "secret", "token")
_HARMLESS = frozenset(("file", "path", "dir", "name", "id", "env", "type", "fd", "stdin"))
"""Last parts of names of options that say where a secret is: `--password-file`."""

_ASSIGNED = re.compile(r"(--?|/)?([A-Za-z][\w.-]*)=(.*)", re.DOTALL)
_OPTION = re.compile(r"--?([A-Za-z][\w.-]*)")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE)
_HEADER = re.compile(
    r"((?:[\w-]*-)?(?:authorization|token|key|cookie|secret)\s*:\s*)"
    r"(?:(?:basic|bearer|token)\s+)?[^\s'\"]+",
    re.IGNORECASE,
)
_SPACE = re.compile(r"(\s+)")


@lru_cache(maxsize=256)  # a writer is told with each of its files
def words_without_secrets(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a command with `***` for passwords, keys and tokens.

    These are recognised by the name of their option or variable, as the user in front of a host,
    and in HTTP headers; a text with blanks, as a script, is taken apart. A secret that stands
    alone looks like every other word: a program that is given one so cannot be helped.
    """
    return tuple(_told(words))


def without_secrets(text: str) -> str:
    """Return a command line in one text, with `***` as `words_without_secrets` has it."""
    pieces = _SPACE.split(_HEADER.sub(rf"\1{HIDDEN}", text))
    pieces[::2] = _told(pieces[::2])
    return "".join(pieces)


def _told(words: Iterable[str]) -> Iterator[str]:
    before = ""
    for word in words:
        yield _word(word, before)
        before = word


def _word(word: str, before: str) -> str:
    option = _OPTION.fullmatch(before)
    if option is not None and word and not word.startswith("-"):
        if _is_secret(option[1]):
            return HIDDEN
        if option[1] in ("u", "user") and ":" in word:
            return f"{word.partition(':')[0]}:{HIDDEN}"
    assigned = _ASSIGNED.fullmatch(word)
    if assigned is not None and _is_secret(assigned[2]):
        return f"{assigned[1] or ''}{assigned[2]}={HIDDEN}"
    if _SPACE.search(word):
        return without_secrets(word)
    return _URL.sub(rf"\1{HIDDEN}@", word)


def _is_secret(name: str) -> bool:
    parts = [part.lower() for part in _PARTS.findall(name)]
    named = any(part in _NAMES or part.endswith(_ENDINGS) for part in parts)
    return named and parts[-1] not in _HARMLESS
