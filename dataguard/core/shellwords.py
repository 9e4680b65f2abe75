"""The simple commands in a script for a shell, as far as its text tells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["script_of", "simple_commands"]

_TOKEN = re.compile(
    r"""
    (?P<space> [ \t\r]+ | \\\n )
    | (?P<redirection> &>>? | [<>]& | <<<? -? | <> | >\| | >>? | < )
    | (?P<operator> [();&|`\n] )
    | (?P<single> '[^']*' )
    | (?P<double> "(?: \\. | [^"\\] )*" )
    | (?P<escaped> \\. )
    | (?P<plain> [^ \t\r\n'"\\();&|`<>]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"#[^\n]*")
_SUBSTITUTION = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)|`([^`]*)`")
_ESCAPE = re.compile(r"\\([$`\"\\\n])")
_RESERVED = frozenset(
    (
        *("!", "{", "}", "if", "then", "elif", "else", "fi", "while", "until", "do", "done"),
        *("time", "exec", "builtin"),
    )
)
"""Words before which or after which a command stands; what `exec` and `builtin` start is one."""

_VALUED = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})


def script_of(words: list[str]) -> str | None:
    """Return the script that a shell with these arguments is given by `-c`, or None."""
    rest, given = list(words), False
    while rest and rest[0][:1] in ("-", "+") and rest[0] not in ("-", "--"):
        word = rest.pop(0)
        if word in _VALUED:
            del rest[:1]
        elif word.startswith("-") and not word.startswith("--"):
            given = given or "c" in word
    if rest[:1] in (["-"], ["--"]):
        del rest[0]
    return rest[0] if given and rest else None


def simple_commands(script: str) -> Iterator[list[str]]:
    """Yield the words of each simple command, those in substitutions too, without redirections.

    What a script computes is not known: variables, functions, what it reads. Where a quote does
    not end, what stands before is told.
    """
    words: list[str] = []
    skipping = False
    for token in _tokens(script):
        if token.kind == "operator":
            yield from _started(words)
            words = []
        elif token.kind == "word":
            words += [] if skipping else [token.text]
            for inner in token.substitutions:
                yield from simple_commands(inner)
        skipping = token.kind == "redirection"
    yield from _started(words)


class _Token(NamedTuple):
    """An operator, a redirection or a word without its quotes; `substitutions` are in quotes."""

    kind: str
    text: str
    substitutions: tuple[str, ...] = ()


def _tokens(script: str) -> Iterator[_Token]:
    at, word = 0, None
    while at < len(script):
        if word is None and (comment := _COMMENT.match(script, at)):
            at = comment.end()
            continue
        found = _TOKEN.match(script, at)
        if found is None:
            break
        at, kind = found.end(), str(found.lastgroup)
        if kind in ("space", "operator", "redirection"):
            yield from (word,) if word else ()
            yield from () if kind == "space" else (_Token(kind, found[0]),)
            word = None
        else:
            word = _joined(word, kind, found[0])
    yield from (word,) if word else ()


def _joined(word: _Token | None, kind: str, text: str) -> _Token:
    """Return a word with one more piece of it."""
    before = _Token("word", "") if word is None else word
    inner: tuple[str, ...] = ()
    if kind == "double":
        inner = tuple(one[1] or one[2] or "" for one in _SUBSTITUTION.finditer(text))
        text = _ESCAPE.sub(r"\1", text[1:-1])
    elif kind != "plain":
        text = text[1:-1] if kind == "single" else text[1:]
    return _Token("word", before.text + text, (*before.substitutions, *inner))


def _started(words: list[str]) -> Iterator[list[str]]:
    while words and words[0] in _RESERVED:
        words = words[1:]
    if words:
        yield words
