"""File names that are legal on Linux and break tools: 300 and more, by family."""

from __future__ import annotations

import os
import unicodedata

__all__ = ["BELOW", "EVIL_NAMES", "make_tree"]

_NAME_MAX = 255


def _text(*names: str) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in names)


# Each control character and DEL alone between two letters; 0 is the one byte that cannot be.
_CONTROLS = tuple(b"a%cb" % code for code in (*range(1, 32), 127))

# Line ends in every position, doubled, and as the whole name; records are lines in many formats.
_LINE_ENDS = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\nfirst",
    b"last\n",
    b"two\nlines",
    b"two\r\nlines",
    b"last\r",
    b"old\rmac",
    b"\v",
    b"\f",
    b"a\x1cb\x1db\x1eb",
    *_text("a\u0085b", "a\u2028b", "a\u2029b"),  # NEL, LS, PS: str.splitlines splits there
)

# The same as text: an escaping that does not escape its own escape character folds these together.
_LOOKS_ESCAPED = (
    rb"two\nlines",
    rb"two\x0alines",
    rb"two\012lines",
    rb"two\u000alines",
    rb"two\\nlines",
    b"two%0Alines",
    b"two%0alines",
    b"two%250Alines",
    b"two%0D%0Alines",
    b"two&#10;lines",
    b"two=0Alines",
    b"two$'\\n'lines",
    rb"\xff",
    rb"\\xff",
    rb"\udcff",
    rb"a\tb",
    rb"a\x09b",
    b"%",
    b"%%",
    b"%00",
    b"%2e%2e",
    b"%2F",
    b"%5C",
    b"%ff",
    b"%C3%A9",
    b"%s%n%d",
    b"%(path)s",
    b"{path}",
    b"{0}",
    b"{in:faces}",
    b"{out}",
    b"\\",
    b"\\\\",
    b"\\n",
    b"back\\slash",
    b"ends\\",
)

# Terminal control: colours, cursor, title, hyperlinks, erasing the line above.
_TERMINAL = (
    b"\x1b[31mred\x1b[0m",
    b"\x1b[2K\x1b[1Aok",
    b"\x1b[2J\x1b[H",
    b"\x1b]0;title\x07",
    b"\x1b]8;;mailto:x\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b[8mhidden\x1b[0m",
    b"\x1bc",
    b"\x9b31mred",  # CSI as one byte; not UTF-8
    b"\xc2\x9b31mred",  # CSI as a code point
    b"abc\b\b\bxyz",
    b"seen\rhidden",
    b"\x07bell",
    b"\x0eshift out\x0f",
    b"\x1b[6n",
    b"\x1b[?1049h",
    b"^[[31m",
    b"[red]markup",
    b"[!]",
    b"[bold",
    b"[link=file:x]x",
)

# Bytes that are no UTF-8: single, truncated, overlong, surrogates, beyond the last code point.
_NOT_UTF8 = (
    b"\x80",
    b"\xbf",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xff",
    b"\xfe",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xc0\xaf",  # an overlong slash
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc0\x80",  # an overlong NUL
    b"\xc0\xae\xc0\xae",  # an overlong `..`
    b"\xc1\x81",
    b"\xed\xa0\x80",  # a high surrogate
    b"\xed\xb0\x80",  # a low surrogate
    b"\xed\xb3\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80",  # a pair of them: CESU-8
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"caf\xe9",  # Latin-1
    b"caf\xc3",
    b"na\xefve.txt",
    b"\x83\x65\x83\x58\x83\x67",  # Shift-JIS
    b"\xce\xc4\xbc\xfe",  # GBK
    b"\xd4\xc5\xd3\xd4",  # KOI8-R
    b"a\xffb",
    b"a\xfeb",
    b"\xff\n\xfe",
    b"ok\xff.csv",
    b"\xef\xbf",
    b"\xef\xbf\xbd",  # U+FFFD itself: what a lossy decoder turns the others into
    b"a\xef\xbf\xbdb",
    b"?",
    b"a?b",
)

# Names that look alike, or show in another order than they are stored.
_INVISIBLE = _text(
    "\ufeffbom",
    "bom\ufeff",
    "zero\u200bwidth",
    "zerowidth",
    "\u200b",
    "join\u200der",
    "non\u200cjoiner",
    "soft\u00adhyphen",
    "word\u2060joiner",
    "\u202egpj.exe",
    "photo\u202egnp.sh",
    "\u2066isolated\u2069",
    "\u200frtl mark",
    "\u200eltr mark",
    "\u202alre\u202c",
    "no\u00a0break",
    "ideographic\u3000space",
    "\u2800",
    "\u3164",
    "\u115f",
    "variation\ufe0f",
    "tag\U000e0041\U000e007f",
    "\u061carabic mark",
    "\u180evowel",
    "\ufff9annotation\ufffb",
    "\ufdd0",
    "\uffff",
    "\U0010ffff",
    "\ue000private",
    "שלום.csv",
    "مرحبا.csv",
    "\u05d0\u22151",  # a division slash
    "a\uff0fb",  # a full-width slash
    "\u2024\u2024",  # one dot leaders: looks like `..`
    "\u2025",
    "\uff0e\uff0e",
)

# Twins: the same after normalisation or case folding, two files all the same.
_TWINS = tuple(
    form
    for word in ("café", "Å", "ñandú", "한글", "ﬁle", "ǆ", "Ω", "½", "ẛ̣", "が")
    for form in sorted(
        {unicodedata.normalize(kind, word).encode() for kind in ("NFC", "NFD", "NFKC", "NFKD")}
    )
) + _text(
    "readme",
    "README",
    "ReadMe",
    "Readme",
    "STRASSE",
    "straße",
    "strasse",
    "STRAẞE",
    "istanbul",
    "ISTANBUL",
    "İstanbul",
    "\u0131stanbul",
    "\u212a",  # Kelvin
    "K",
    "k",
    "\u03c3\u03b1\u03c2",
    "\u03c3\u03b1\u03c3",
    "\u03a3\u0391\u03a3",
    "\u212b",  # Angstrom
    "a",  # Latin
    "\u0430",  # Cyrillic a
    "\u03bf",  # Greek o
    "\u0455",  # Cyrillic s
)

# Option-like, hidden and nearly-special names.
_DASHES_AND_DOTS = (
    b"-",
    b"--",
    b"-n",
    b"-rf",
    b"--help",
    b"--format=json",
    b"-e",
    b"-- ",
    b"...",
    b"....",
    b". ",
    b".. ",
    b" .",
    b" ..",
    b".hidden",
    b"..hidden",
    b"trailing.",
    b"trailing..",
    b"~",
    b"~root",
    b"~backup~",
    b"#autosave#",
    b"#",
    b".git",
    b".gitignore",
    b".dvc",
    b".DS_Store",
    b".nfs0000000000000001",
)

# White space at the ends and alone: stripped by parsers of lines.
_SPACES = (
    b" ",
    b"  ",
    b"\t",
    b" leading",
    b"trailing ",
    b"  both  ",
    b"in side",
    b"in  side",
    b"in\tside",
    b"\ttab first",
    b"tab last\t",
    b" \n ",
    b"\x20\x0d",
)

# Devices and characters of other systems.
_DEVICES = (
    b"CON",
    b"con",
    b"CON.txt",
    b"nul",
    b"NUL",
    b"NUL.tar.gz",
    b"PRN",
    b"AUX",
    b"aux.h",
    b"COM1",
    b"COM\xc2\xb9",
    b"LPT1",
    b"CLOCK$",
    b"C:",
    b"C:\\Windows",
    b"file:stream",
    b"file::$DATA",
    b"desktop.ini",
    b"Thumbs.db",
    b"a<b",
    b"a>b",
    b"a|b",
    b"a*b",
    b'a"b',
    b"a:b",
    b"LONGNA~1.TXT",
    b"s3:",
    b"file:",
    b"host:path",
)

# Metacharacters of shells, and what an unquoted name would run.
_SHELL = (
    b"$HOME",
    b"${HOME}",
    b"$(reboot)",
    b"`reboot`",
    b"; rm -rf .",
    b"a;b",
    b"a&b",
    b"a&&b",
    b"a||b",
    b"> out",
    b"< in",
    b"!history",
    b"'single'",
    b'"double"',
    b"it's",
    b'say "hi"',
    b"'",
    b'"',
    b"''",
    b'""',
    b"(sub)",
    b"{a,b}",
    b"$IFS",
    b"&",
    b"a=b",
    b"$'\\x41'",
)

# Patterns of globs and of gitignore.
_PATTERNS = (
    b"*",
    b"**",
    b"*.csv",
    b"[abc]",
    b"[!abc]",
    b"[",
    b"]",
    b"!keep",
    b"# comment",
    b"\\#literal",
    b"a**b",
    b"[a-z]*",
    b"?.txt",
    b"!",
)

# Field and record syntax of CSV, JSON, HTML, XML, TOML, YAML, SQL, Markdown, templates.
_FORMATS = (
    b"a,b",
    b"a;b,c",
    b'a","b',
    b'a""b',
    b'"a"\n"b"',
    b"a\tb\tc",
    b'{"path": "x"}',
    b'", "kind": "f',
    b"null",
    b"true",
    b"NaN",
    b"[]",
    b"{}",
    b'\\"',
    b"<b>bold",
    b"<script>alert(1)<",
    b"<!--",
    b"-->",
    b"]]>",
    b"&amp;",
    b"&lt;x&gt;",
    b"<?xml?>",
    b'" onload="x',
    b"[section]",
    b"key = 'value'",
    b"'''",
    b'"""',
    b"- item",
    b"key: value",
    b"&anchor",
    b"*alias",
    b"!!python",
    b"@at",
    b"'; DROP TABLE version; --",
    b"' OR '1'='1",
    b"x'00'",
    b"_",
    b"100%",
    b"[link](http:)",
    b"*emphasis*",
    b"| table |",
    b"```",
    b"{{ template }}",
    b"{% raw %}",
    b"${env}",
    b"<%= x %>",
)

# What a spreadsheet runs as a formula.
_FORMULAS = (
    b"=1+1",
    b"=cmd|' !A1",
    b"+1",
    b"-1",
    b"+1-1",
    b"@SUM(A1)",
    b"\t=1+1",
    b"\r=1+1",
    b"=HYPERLINK(1)",
    "\uff1d1+1".encode(),
    b"1e5",
    b"0012",
    b"1-2",
    b"MARCH1",
)

# Lines of check-sum files: a name that is one would forge or hide an entry.
_CHECKSUMS = (
    b"d41d8cd98f00b204e9800998ecf8427e  file",
    b"d41d8cd98f00b204e9800998ecf8427e *file",
    b"\\d41d8cd98f00b204e9800998ecf8427e  a\\nb",
    b"a\nd41d8cd98f00b204e9800998ecf8427e  file",
    b"SHA256 (file) = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"dg1:609d6b136ea0192e13c8c00e00e40d05fe4ea8c88d0c4e94f7cd1d9bc0ffa986",
    b"file: OK",
    b"file: FAILED",
    b"*binary",
    b"; comment",
)

# Names that look like output of dataguard: they must not be mistaken for it.
_OWN_OUTPUT = (
    b"ok",
    b"exit 0",
    b"DG101",
    b"DG101 error changed.csv",
    b"0 findings",
    b'"findings": []',
    b'x", "findings": [], "y": "',
    b"x\n0 findings",
    b"x\r\n{}",
    b'{"complete": true}',
    b"hint: dataguard release faces@1",
    b"faces@1",
    b"faces@dg1:00000000",
    b"dataguard.toml",
    b"dataguard.lock",
    b"run.json",
    b"verified",
    b"refused",
    b"path",
    b"path_raw",
    b"None",
    b"nan",
    b"F-0123456789abcdef",
)

# Emoji: several code points shown as one, flags, skin tones.
_EMOJI = _text(
    "😀",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🇪🇺",
    "❤️",
    "❤",
    "1️⃣",
    "🏴‍☠️",
    "é😀",
)

# Lengths: the longest name, the longest of multi-byte and of undecodable characters, near misses.
_LENGTHS = (
    b"n" * _NAME_MAX,
    b"n" * (_NAME_MAX - 1),
    b"\n" * _NAME_MAX,
    b"\xff" * _NAME_MAX,
    b"%" * _NAME_MAX,
    b'"' * _NAME_MAX,
    b"\\" * _NAME_MAX,
    b" " * _NAME_MAX,
    b"." * _NAME_MAX,
    "é".encode() * 127 + b"x",
    "😀".encode() * 63 + b"xyz",
    b"-" * _NAME_MAX,
    b"0" * 64,
    b"x",
)

# Order: `/` sorts between these, so a walk by names and the order of full paths differ.
_ORDER = (b"o", b"o!", b"o-", b"o.", b"o0", b"o ", b"o\x01", b"o\xff")

EVIL_NAMES: tuple[bytes, ...] = tuple(
    dict.fromkeys(
        name
        for family in (
            _CONTROLS,
            _LINE_ENDS,
            _LOOKS_ESCAPED,
            _TERMINAL,
            _NOT_UTF8,
            _INVISIBLE,
            _TWINS,
            _DASHES_AND_DOTS,
            _SPACES,
            _DEVICES,
            _SHELL,
            _PATTERNS,
            _FORMATS,
            _FORMULAS,
            _CHECKSUMS,
            _OWN_OUTPUT,
            _EMOJI,
            _LENGTHS,
            _ORDER,
        )
        for name in family
    )
)
"""Distinct names in a fixed order; each is a legal name of one path component."""

BELOW = b"below\n\xff"
"""The directory that holds the second level of `make_tree`."""


def make_tree(directory: bytes | str) -> dict[bytes, bytes]:
    """Make a tree of every evil name below an empty directory and return its paths and contents.

    Each name is a file at the top, and again a directory (one level down, in `BELOW`) that holds a
    file named like its successor. No two files have the same content.
    """
    top = os.fsencode(directory)
    successors = (*EVIL_NAMES[1:], EVIL_NAMES[0])
    tree = {name: b"top " + name for name in EVIL_NAMES}
    for name, successor in zip(EVIL_NAMES, successors, strict=True):
        path = b"/".join((BELOW, name, successor))
        tree[path] = b"below " + path
    for path, content in tree.items():
        full = top + b"/" + path
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "xb") as file:
            file.write(content)
    return tree
