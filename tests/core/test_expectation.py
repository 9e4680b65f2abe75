from __future__ import annotations

import hashlib
import json
import os
import subprocess

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.evil_names import EVIL_NAMES, make_tree
from dataguard.core.align import align
from dataguard.core.columns import raw_paths
from dataguard.core.expectation import (
    judge_expectation,
    parse_bagit,
    parse_checksums,
    parse_dvc_directory,
)
from dataguard.errors import UsageError
from dataguard.model.digest import Algorithm
from dataguard.model.finding import Code
from support.entrybatches import batch_of, directory, file, link

MD5 = hashlib.md5(b"x").hexdigest().encode()
SHA256 = hashlib.sha256(b"x").hexdigest().encode()
TOOLS = {
    "md5sum": Algorithm.MD5,
    "sha1sum": Algorithm.SHA1,
    "sha256sum": Algorithm.SHA256,
    "sha512sum": Algorithm.SHA512,
}
NAMES = st.binary(min_size=1, max_size=6).filter(
    lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b"..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)


def promised(expectation) -> dict[bytes, bytes]:
    digests = expectation.rows.column("expected").to_pylist()
    return dict(zip(raw_paths(expectation.rows).to_pylist(), digests, strict=True))


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A tree of evil names and what each file holds."""
    top = tmp_path_factory.mktemp("evil")
    return top, make_tree(str(top))


@pytest.mark.parametrize("options", [(), ("--tag",), ("--binary",)])
@pytest.mark.parametrize("tool", TOOLS)
def test_what_coreutils_print_is_read_back(evil, tool, options):
    top, tree = evil
    tree = {path: content for path, content in tree.items() if path != b"-"}  # standard input
    output = subprocess.run(
        [tool, *options, "--", *sorted(tree)], cwd=top, check=True, capture_output=True
    ).stdout
    found = parse_checksums(output)
    assert (TOOLS[tool], False) == (found.algorithm, found.exhaustive)
    name = TOOLS[tool].value
    assert {p: hashlib.new(name, c).digest() for p, c in tree.items()} == promised(found)
    assert sorted(tree) == raw_paths(found.rows).to_pylist()


def test_what_find_and_sha256sum_print_is_read_back(evil):
    top, tree = evil
    command = "find . -type f -print0 | xargs -0 sha256sum"
    output = subprocess.run(command, shell=True, cwd=top, check=True, capture_output=True).stdout
    assert set(tree) == set(promised(parse_checksums(output)))


def escaped(name: bytes) -> tuple[bytes, bytes]:
    """Return mark and name as coreutils 9 writes them."""
    text = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if text != name else b""), text


@given(st.dictionaries(PATHS, st.binary(max_size=3), min_size=1, max_size=5), st.booleans())
@settings(deadline=None)
def test_checksum_lines_round_trip(tree, tagged):
    lines = []
    for path, content in tree.items():
        mark, name = escaped(path)
        digest = hashlib.sha256(content).hexdigest().encode()
        plain = mark + digest + b"  " + name
        lines.append(mark + b"SHA256 (" + name + b") = " + digest if tagged else plain)
    found = parse_checksums(b"\n".join(lines) + b"\n")
    assert {p: hashlib.sha256(c).digest() for p, c in tree.items()} == promised(found)


@given(st.dictionaries(PATHS, st.binary(max_size=3), min_size=1, max_size=5))
@settings(deadline=None)
def test_bagit_lines_round_trip(tree):
    lines = []
    for path, content in tree.items():
        name = path.replace(b"%", b"%25").replace(b"\n", b"%0A").replace(b"\r", b"%0d")
        lines.append(hashlib.sha512(content).hexdigest().encode() + b"  data/" + name)
    found = parse_bagit(b"\n".join(lines) + b"\n")
    assert Algorithm.SHA512 is found.algorithm
    assert found.exhaustive
    expected = {b"data/" + p: hashlib.sha512(c).digest() for p, c in tree.items()}
    assert expected == promised(found)


def test_bagit_decodes_three_characters_and_no_more():
    found = parse_bagit(SHA256 + b"\tdata/a%20b%0Ac%25d%2Fe\n\n")
    assert [b"data/a%20b\nc%d%2Fe"] == list(promised(found))


@given(st.dictionaries(st.text(min_size=1), st.just(MD5.decode()), min_size=1, max_size=5))
@settings(deadline=None)
def test_dvc_rows_are_read_or_refused_with_words(rows):
    listed = [{"relpath": path, "md5": digest} for path, digest in rows.items()]
    try:
        found = parse_dvc_directory(json.dumps(listed).encode())
    except UsageError:
        return
    assert (Algorithm.MD5, True) == (found.algorithm, found.exhaustive)
    assert len(rows) == found.rows.num_rows


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (SHA256 + b"  a", b"a"),
        (SHA256 + b" *a", b"a"),
        (SHA256 + b"  *a", b"*a"),
        (SHA256 + b"    a", b"  a"),
        (SHA256 + b"  ./a/./b//c", b"a/b/c"),
        (SHA256.upper() + b"  A", b"A"),
        (SHA256 + b"  ~backup", b"~backup"),
        (SHA256 + b"  a\\nb", b"a\\nb"),
        (b"\\" + SHA256 + b"  a\\nb\\\\c", b"a\nb\\c"),
        (b"\\" + SHA256 + b"  a\\rb", b"a\rb"),
        (SHA256 + b"  a\rb", b"a\rb"),
        (b"SHA256 (a) = b) = " + SHA256, b"a) = b"),
        (SHA256 + b"  ...", b"..."),
        (SHA256 + b"  SHA256 (x) = y", b"SHA256 (x) = y"),
        (b"# comment\n\n" + SHA256 + b"  a", b"a"),
    ],
)
def test_forms_of_lines(line, path):
    assert [path] == list(promised(parse_checksums(line)))
    assert [path] == list(promised(parse_checksums(line + b"\n")))


def test_file_with_windows_line_ends_is_read():
    data = b"".join(SHA256 + b"  " + name + b"\r\n" for name in (b"a", b"b c"))
    assert [b"a", b"b c"] == list(promised(parse_checksums(data)))


def test_carriage_return_of_a_single_name_is_kept():
    data = SHA256 + b"  a\r\n" + SHA256 + b"  b\n"
    assert [b"a\r", b"b"] == list(promised(parse_checksums(data)))


HOSTILE = [
    b"/etc/passwd",
    b"../x",
    b"a/../../x",
    b"a/..",
    b".",
    b"./",
    b"a\0b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_paths_that_leave_the_tree_are_refused(name):
    with pytest.raises(UsageError, match="outside the dataset"):
        parse_checksums(SHA256 + b"  " + name)
    with pytest.raises(UsageError, match="outside the dataset"):
        parse_checksums(b"SHA256 (" + name + b") = " + SHA256)
    with pytest.raises(UsageError, match="outside the dataset"):
        parse_bagit(SHA256 + b"  " + name)
    rows = json.dumps([{"relpath": name.decode(), "md5": MD5.decode()}]).encode()
    with pytest.raises(UsageError, match="outside the dataset"):
        parse_dvc_directory(rows)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"# nothing\n",
        b"hello",
        SHA256,
        SHA256 + b" ",
        SHA256 + b"  ",
        SHA256[:-1] + b"  a",
        SHA256 + b"00  a",
        b"g" * 64 + b"  a",
        b"SHA256 (a) = " + MD5,
        b"MD5 (a) = " + SHA256,
        b"BLAKE2b (a) = " + SHA256 * 2,
        SHA256 + b"  a\n" + MD5 + b"  b",
        SHA256 + b"  a\n" + SHA256 + b"  a",
        SHA256 + b"  a\n" + SHA256 + b"  ./a",
        SHA256 + b"  a\nhello\n",
        b"\xff\xfe" + SHA256 + b"  a",
    ],
)
def test_files_of_another_form_are_refused(data):
    with pytest.raises(UsageError):
        parse_checksums(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"[1]",
        b"[null]",
        b'[{"md5": "x"}]',
        b'[{"md5": "zz", "relpath": "a"}]',
        b'[{"md5": "%s", "relpath": "a"}]' % (b"z" * 32),
        b'[{"md5": "%s", "relpath": "a"}]' % (b"ab " * 10 + b"ab"),
        b'[{"md5": 5, "relpath": "a"}]',
        b'[{"md5": "%s", "relpath": ["a"]}]' % MD5,
        b'[{"md5": "%s", "relpath": ""}]' % MD5,
        b'[{"md5": "%s", "relpath": "\\ud800"}]' % MD5,
        b'[{"md5": "%s\xc3\xa9", "relpath": "a"}]' % MD5[:-2],
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_dvc_objects_of_another_form_are_refused(data):
    with pytest.raises(UsageError):
        parse_dvc_directory(data)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_with_words(data):
    for parse in (parse_checksums, parse_bagit, parse_dvc_directory):
        for text in (data, SHA256 + b"  " + data):
            try:
                found = parse(text)
            except UsageError:
                continue
            for path in raw_paths(found.rows).to_pylist():
                assert not path.startswith(b"/")
                assert b".." not in path.split(b"/")


def kept(expectation, seen, *, below=b"", algorithm=None, rows=2):
    """Judge all windows; return codes by path and the number of unlisted files."""
    whole = batch_of(seen)
    if algorithm is not None:
        digests = [hashlib.new(algorithm.value, e.content).digest() for e in sorted_by_path(seen)]
        whole = whole.append_column(algorithm.value, pa.array(digests, pa.binary(len(digests[0]))))
    pieces = [whole.slice(start, rows) for start in range(0, whole.num_rows, rows)]
    found, unlisted = [], 0
    for window in align([expectation.rows], pieces):
        broken, more = judge_expectation(window, expectation, below=below)
        found += broken
        unlisted += more
    return [(d.path, d.code) for d in found], unlisted


def sorted_by_path(seen):
    return sorted(seen, key=lambda entry: entry.path)


def md5_list(tree: dict[bytes, bytes]) -> bytes:
    rows = [hashlib.md5(c).hexdigest().encode() + b"  " + p for p, c in tree.items()]
    return b"\n".join(rows)


def test_kept_promise_has_no_differences():
    tree = {b"a": b"1", b"b/c": b"2", b"d": b"3"}
    found = kept(
        parse_checksums(md5_list(tree)),
        [file(p, c) for p, c in tree.items()],
        algorithm=Algorithm.MD5,
    )
    assert ([], 0) == found


def test_broken_promise_is_told_by_path():
    expectation = parse_checksums(md5_list({b"a": b"1", b"b": b"2", b"gone": b"3", b"z": b"4"}))
    seen = [file(b"a", b"x"), file(b"b", b"2"), file(b"new", b"5"), link(b"to", b"b")]
    seen += [file(b"z", b"4")]
    found, unlisted = kept(expectation, seen, algorithm=Algorithm.MD5)
    assert [(b"a", Code.DG101), (b"gone", Code.DG102)] == found
    assert 1 == unlisted


def test_exhaustive_lists_refuse_what_they_do_not_name():
    rows = b"".join(SHA256 + b"  data/" + name + b"\n" for name in (b"a", b"b"))
    expectation = parse_bagit(rows)
    seen = [file(b"bagit.txt", b""), file(b"data/a", b"x"), file(b"data/b", b"x")]
    seen += [file(b"data/c", b""), directory(b"data/d")]
    found, unlisted = kept(expectation, seen, below=b"data/", algorithm=Algorithm.SHA256)
    assert ([(b"data/c", Code.DG103)], 2) == (found, unlisted)


def test_main_digest_is_used_where_it_is_the_expected_one():
    expectation = parse_checksums(SHA256 + b"  a")
    batch = batch_of([file(b"a", b"x")])
    position = batch.schema.get_field_index("digest")
    digest = pa.array([hashlib.sha256(b"x").digest()], pa.binary(32))
    (window,) = align([expectation.rows], [batch.set_column(position, "digest", digest)])
    assert ([], 0) == judge_expectation(window, expectation, below=b"")


def test_unread_file_does_not_keep_a_promise():
    expectation = parse_checksums(SHA256 + b"  a")
    found, _ = kept(expectation, [file(b"a", None)])
    assert [(b"a", Code.DG101)] == found


def test_empty_place_breaks_every_promise():
    expectation = parse_bagit(SHA256 + b"  data/a\n" + SHA256 + b"  data/b\n")
    found, unlisted = kept(expectation, [])
    assert ([(b"data/a", Code.DG102), (b"data/b", Code.DG102)], 0) == (found, unlisted)


def test_names_of_the_corpus_need_no_shell(evil):
    top, _ = evil
    assert set(EVIL_NAMES) <= set(os.listdir(os.fsencode(top)))
