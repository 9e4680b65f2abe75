from __future__ import annotations

import ast
import json
import unicodedata
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.evil_names import EVIL_NAMES
from dataguard.core.paths import display, escape, is_inside, json_fields, leaves_root

# Bytes that decode and bytes that do not, whole and cut characters, and what looks escaped.
PIECES = st.one_of(
    st.binary(max_size=3),
    st.characters().map(lambda c: c.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"\\", b"\\x", b"\\xff", b'"', b"\\n", b"\xc2\xa0", b"\xa0", b"\\u00a0"]),
    st.sampled_from(["\u202e", "\u2066", "\u200b", "\u2028", "\x85", "é"]).map(str.encode),
)
PATHS = st.lists(PIECES, max_size=4).map(b"".join)

BIDI = {*"\u061c\u200e\u200f", *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))}


def assert_harmless(text: str) -> None:
    assert len(text.splitlines()) <= 1
    assert not BIDI & set(text)
    bad = [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")]
    assert [] == bad


@given(PATHS)
@settings(deadline=None)
def test_what_is_shown_is_one_harmless_line(path):
    assert_harmless(display(path))
    assert_harmless(escape(path.decode("utf-8", "surrogateescape")))


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_evil_names_are_shown_as_one_harmless_token(name):
    shown = display(name)
    assert_harmless(shown)
    assert shown.startswith('"') or " " not in shown


def test_evil_names_are_told_apart():
    assert len(EVIL_NAMES) == len({display(name) for name in EVIL_NAMES})


@given(PATHS, PATHS)
@settings(deadline=None)
def test_two_paths_are_never_shown_alike(one, other):
    assert (one == other) == (display(one) == display(other))
    texts = [path.decode("utf-8", "surrogateescape") for path in (one, other)]
    assert (one == other) == (escape(texts[0]) == escape(texts[1]))


@pytest.mark.parametrize("code", range(0x80, 0x100))
def test_an_undecodable_byte_is_not_shown_like_the_character_of_its_number(code):
    assert display(bytes([code])) != display(chr(code).encode())


def read_back(shown: str) -> bytes:
    """Undo `display` by its rules: `\\xNN` is a byte, all else is text."""
    if not shown.startswith('"'):
        return shown.encode()
    result, rest = b"", shown[1:-1]
    while rest:
        if rest.startswith("\\x"):
            result += bytes.fromhex(rest[2:4])
            rest = rest[4:]
        elif rest.startswith("\\"):
            length = {"u": 6, "U": 10}.get(rest[1], 2)
            result += str(ast.literal_eval(f'"{rest[:length]}"')).encode()
            rest = rest[length:]
        else:
            result += rest[0].encode()
            rest = rest[1:]
    return result


@given(PATHS)
@settings(deadline=None)
def test_what_is_shown_can_be_read_back(path):
    assert path == read_back(display(path))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"a/b.txt", "a/b.txt"),
        ("é/日本".encode(), "é/日本"),
        (b"", '""'),
        (b"a b", '"a b"'),
        (b"it's", '"it\'s"'),
        (b'say "x"', '"say \\"x\\""'),
        (b"a\nb", '"a\\nb"'),
        (b"a\\nb", '"a\\\\nb"'),
        (b"\xff", '"\\xff"'),
        ("ÿ".encode(), "ÿ"),
        ("\u00a0".encode(), '"\\u00a0"'),
        (b"\x1b[31m", '"\\x1b[31m"'),
        ("a\u202eb".encode(), '"a\\u202eb"'),
    ],
)
def test_forms(path, shown):
    assert shown == display(path)


@given(PATHS)
@settings(deadline=None)
def test_json_fields_round_trip(path):
    fields = json.loads(json.dumps(json_fields(path, "file")))
    if "file_b64" in fields:
        assert path == b64decode(fields["file_b64"])
        assert fields["file"].isprintable() or fields["file"]
    else:
        assert path == fields["file"].encode()
    assert set(fields) <= {"file", "file_b64"}


def test_text_of_bytes_that_are_no_text():
    assert {"path": "a\\xffb", "path_b64": "Yf9i"} == json_fields(b"a\xffb")
    assert {"path": "a\\xffb"} == json_fields(b"a\\xffb")


@pytest.mark.parametrize(
    ("path", "ancestor", "inside"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/a", "/", True),
        ("/", "/", True),
        ("/a/b", "/a/", True),
    ],
)
def test_containment(path, ancestor, inside):
    assert inside is is_inside(path, ancestor)


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        (b"l", b"a", False),
        (b"l", b"..", True),
        (b"l", b"../x", True),
        (b"d/l", b"..", False),
        (b"d/l", b"../..", True),
        (b"d/l", b"../x", False),
        (b"d/l", b"a/../../../x", True),
        (b"l", b"/etc", True),
        (b"l", b"//etc", True),
        (b"l", b"..x", False),
        (b"l", b".", False),
        (b"d/l", b"../../d/x", True),
        (b"d\xff/l", b"../\xfe", False),
    ],
)
def test_links_that_leave_the_root(path, target, leaves):
    assert leaves is leaves_root(path, target)
